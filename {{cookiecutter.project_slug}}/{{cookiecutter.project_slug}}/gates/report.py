"""The verdicts as a person reads them: `reports/gates.md`, and a line per gate on the terminal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .. import record
from . import verdict

Gate = dict[str, Any]
PAGE = Path("reports/gates.md")
#: Every report with gates, in the order in which the pipeline writes them.
REPORTS = {"validate": Path("reports/validate.json"), **verdict.REPORTS}
#: What Markdown and GitHub give a meaning to.
MEANT = re.compile(r"[&<>@\[*]|#(?=\d)")
FIGURES = ("statistic", "bound", "threshold", "rows", "units", "detectable")


def number(value: Any) -> str:
    """A figure with four significant digits; a dash for none."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def slack(case: Gate) -> float:
    """How far a finding is from its threshold: in detectable effects, else relative to the larger of both.

    Infinite where that says nothing.
    """
    found = case["statistic"] if case["bound"] is None else case["bound"]
    limit = case["threshold"]
    if not isinstance(found, (int, float)) or not isinstance(limit, (int, float)) or found == limit == 0:
        return float("inf")
    return float(abs(found - limit) / (case["detectable"] or max(abs(found), abs(limit))))


def telling(cases: list[Gate]) -> Gate:
    """The finding that stands for its gate: the first red one, else the one nearest to its threshold."""
    red = [case for case in cases if case["verdict"] != "pass"]
    return red[0] if red else min(cases, key=slack)


def headline(stage: str, gates: list[Gate]) -> str:
    """How many gates of a stage are open, and which are not."""
    closed = [gate["gate"] for gate in gates if gate["verdict"] != "pass"]
    told = f"{stage}: {len(gates) - len(closed)} of {len(gates)} gates passed"
    return told + (f"; closed: {', '.join(closed)}" if closed else "")


def lines(stage: str, gates: list[Gate]) -> list[str]:
    """What the terminal shows: the verdict, then a line per gate with its figures."""
    shown = [headline(stage, gates)]
    for gate in gates:
        figures = ", ".join(f"{name} {number(gate[name])}" for name in FIGURES if gate.get(name) is not None)
        shown.append(f"{gate['verdict']:>8}  {gate['gate']}: {gate['reason']}" + (f" [{figures}]" if figures else ""))
    return shown


def harmless(text: str) -> str:
    """Text of which Markdown and GitHub make no tag, link, mention, stress, or reference to an issue."""
    return MEANT.sub(lambda found: f"&#{ord(found[0])};", text)


def cell(text: str) -> str:
    """Text that cannot end its cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table."""
    return ["| " + " | ".join(map(cell, row)) + " |" for row in (head, ["---"] * len(head), *rows)]


def ways(gate: Gate) -> list[str]:
    """What each red finding of a closed gate says, or the gate itself where it did not come to a finding."""
    return [case["reason"] for case in gate.get("cases", []) if case["verdict"] != "pass"] or [gate["reason"]]


def intervals_of(gate: Gate) -> list[str]:
    """The findings of a gate that state an interval, as a section of their own."""
    cases = [case for case in gate.get("cases", []) if case.get("interval")]
    rows = [
        [case["case"], number(case["statistic"]), " to ".join(map(number, case["interval"])),
         number(case["detectable"]), number(case["rows"]), number(case["units"]), case["reason"]]
        for case in cases
    ]  # fmt: skip
    head = ["case", "value", "interval", "detectable", "rows", "units", "finding"]
    return ["", f"## {gate['gate'].capitalize()}", "", *table(head, rows)] if rows else []


def page(reports: dict[str, list[Gate]]) -> str:
    """`reports/gates.md` from the gates of each stage that ran: verdict, ways out, one row per gate, intervals."""
    gates = [(stage, gate) for stage, found in reports.items() for gate in found]
    closed = [(stage, gate) for stage, gate in gates if gate["verdict"] != "pass"]
    waiting = [stage for stage in REPORTS if stage not in reports]
    verdict_line = f"{len(closed)} of {len(gates)} gates closed" if closed else f"all {len(gates)} gates passed"
    text = [f"# Gates: {verdict_line}", "", *(f"- {headline(stage, found)}" for stage, found in reports.items())]
    text += [f"- {stage}: not run" for stage in waiting]
    if closed:
        text += ["", "## What closed, and the way out", ""]
        for stage, gate in closed:
            text += [f"- **{gate['gate']}** ({stage}, {gate['verdict']}): {why}" for why in ways(gate)]
        text += ["", "What each gate means and where to look further: [docs/runbook.md](../docs/runbook.md)."]
    rows = [
        [stage, gate["gate"], gate["verdict"], *(number(gate.get(name)) for name in FIGURES), gate["reason"]]
        for stage, gate in gates
    ]
    text += ["", "## Every gate", "", *table(["stage", "gate", "verdict", *FIGURES, "finding"], rows)]
    for _, gate in gates:
        text += intervals_of(gate)
    return "\n".join(text) + "\n"


def write(last: str) -> None:
    """Write `reports/gates.md` from the reports of the stages up to `last`, which has just run, if it has gates."""
    names = list(REPORTS)
    if last not in names:
        return
    ran = names[: names.index(last) + 1]
    text = page({stage: record.read_json(REPORTS[stage])["gates"] for stage in ran})
    record.write_text(PAGE, text)
