"""What a change does, for who reviews it: `reports/change.md`, this run beside the one committed at a base.

The base's figures are read from git, as they were committed there; nothing is run anew. Both runs state intervals of
their own, over their own test rows: whether the model is better is for `promote`, which compares them row by row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from .. import config, document, record, schema
from ..errors import InputError
from ..gates import metrics, report
from ..gates.report import harmless, number, table
from ..git import git
from ..registry.lineage import CODE, LOCK
from . import reading, views
from .reading import Report, Run

PAGE = Path("reports/change.md")
#: Rows of a table; what is left out is counted. A comment on GitHub ends at 65,536 characters.
SHOWN = 25
#: Characters of a parameter's value that are shown.
WIDTH = 80


def committed(base: str) -> dict[str, Report]:
    """The reports that were committed at a base, by name; without those that are no JSON object."""
    found = {}
    for name, path in reading.FILES.items():
        try:
            content = json.loads(git("show", f"{base}:./{path.as_posix()}"))
        except (InputError, ValueError):
            continue
        if isinstance(content, dict):
            found[name] = content
    return found


def document_at(base: str, path: Path) -> Any:
    """A YAML file as it was committed at a base; an empty mapping where there was none that can be read."""
    try:
        return document.parse(git("show", f"{base}:./{path.as_posix()}")) or {}
    except (InputError, YAMLError):
        return {}


def flat(tree: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf of nested mappings with its dotted key, as JSON."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, json.dumps(tree, default=str, ensure_ascii=False)


def differences(path: Path, base: str) -> list[list[str]]:
    """Keys of a YAML file whose values differ from those at the base: file, key, before, now."""
    before, now = dict(flat(document_at(base, path))), dict(flat(document.parse(path.read_text(encoding="utf-8"))))
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return [[str(path), key, *(f"{one.get(key, '–'):.{WIDTH}}" for one in (before, now))] for key in changed]


def current(run: Run) -> dict[str, Report]:
    """The reports of this run: without those of stages that a closed gate kept from running."""
    fresh = {stage: run.reports[stage] for stage in report.REPORTS if stage in run.reports and stage not in run.stale}
    if "posttrain" in fresh:  # its hashes cover the model and its predictions
        fresh |= {name: run.reports[name] for name in ("evaluate", "training") if name in run.reports}
    if "pretrain" in fresh and "split" in run.reports:
        fresh["split"] = run.reports["split"]
    return fresh


def interval(found: Report | None) -> str:
    """A metric with its interval, or a dash."""
    return f"{number(found['value'])} ({number(found['low'])} to {number(found['high'])})" if found else "–"


def section(title: str, head: list[str], rows: list[list[str]], without: str) -> list[str]:
    """A titled table of the first rows; a sentence where there is none."""
    left = [f"…and {len(rows) - SHOWN} more."] if len(rows) > SHOWN else []
    return ["", f"### {title}", "", *(table(head, rows[:SHOWN]) if rows else [without]), *left]


def gates(now: dict[str, Report], before: dict[str, Report]) -> list[str]:
    """Every gate, closed ones first, and what it said at the base."""

    def told(reports: dict[str, Report]) -> dict[tuple[str, str], report.Gate]:
        return {(stage, gate["gate"]): gate
                for stage in report.REPORTS for gate in reports.get(stage, {}).get("gates", ())}  # fmt: skip

    here, there = told(now), told(before)
    keys = sorted({**here, **there}, key=lambda key: key in here and here[key]["verdict"] == "pass")
    rows = [
        [stage, name, here[stage, name]["verdict"] if (stage, name) in here else "not run",
         there[stage, name]["verdict"] if (stage, name) in there else "–",
         here.get((stage, name), {"reason": "–"})["reason"]]
        for stage, name in keys
    ]  # fmt: skip
    return section("Gates", ["stage", "gate", "now", "base", "finding"], rows, "No gate has run.")


def measured(now: dict[str, Report], before: dict[str, Report], primary: str, confidence: float) -> list[str]:
    """Every metric of the model with its interval, the primary one first."""
    here, there = (reports.get("evaluate", {}).get("model", {}) for reports in (now, before))
    names = sorted({**here, **there}, key=lambda name: name != primary)
    rows = [
        [f"{name} (primary)" if name == primary else name, interval(there.get(name)), interval(here.get(name)),
         f"{here[name]['value'] - there[name]['value']:+.4g}" if name in here and name in there else "–"]
        for name in names
    ]  # fmt: skip
    ours, theirs = (reports.get("posttrain", {}).get("inputs", {}).get("test") for reports in (now, before))
    about = "the same test rows" if ours == theirs else "other test rows, so that a difference need not be the model's"
    lines = section("Metrics", ["metric", "base", "now", "change"], rows, "No model was evaluated.")
    return [*lines, "", f"Each bound at {confidence:.0%}; base and now of {about}."] if here and there else lines


def rivals(run: Run) -> list[str]:
    """What `promote` said of this very model, if it was asked: the decision, and every test against the champion."""
    found = run.reports.get("promotion")
    if found is None or "promotion" in run.stale:
        return []
    names = {role: found[role] and f"version {found[role]['version']}" for role in ("challenger", "champion")}
    would = "would be " if found["dry_run"] and found["decision"] == "promoted" else ""
    said = (
        f"{would}{found['decision']}: {found['reason']} ({names['challenger']}, champion {names['champion'] or 'none'})"
    )
    rows = [[test["test"], test["metric"], number(test["gain"]), number(test["bound"]), number(test["margin"]),
             "pass" if test["passed"] else "fail"] for test in found["tests"]]  # fmt: skip
    head = ["test", "metric", "gain", "bound", "must be above", "verdict"]
    return [*section("Challenger and champion", head, rows, "They were not compared."), "", said]


def moved(now: dict[str, Report], before: dict[str, Report]) -> list[str]:
    """Slices whose verdict changed, or whose gain now lies outside of the base's interval; largest change first."""

    def cases(reports: dict[str, Report]) -> dict[str, report.Gate]:
        found = [gate for gate in reports.get("posttrain", {}).get("gates", ()) if gate["gate"] == "slices"]
        return {case["case"]: case for gate in found for case in gate.get("cases", ()) if case["interval"]}

    here, there = cases(now), cases(before)
    both = sorted(here.keys() & there.keys(), key=lambda name: -abs(here[name]["statistic"] - there[name]["statistic"]))
    rows = []
    for name in both:
        old, new = there[name], here[name]
        low, high = old["interval"]
        if old["verdict"] != new["verdict"] or not low <= new["statistic"] <= high:
            rows.append([name, f"{number(old['statistic'])} ({number(low)} to {number(high)})",
                         number(new["statistic"]), new["verdict"], number(new["rows"])])  # fmt: skip
    kept = f"None of the {len(both)} slices that both runs judged." if both else "No slice was judged in both runs."
    return section("Slices that moved", ["slice", "gain at base", "gain now", "verdict", "rows"], rows, kept)


def data(now: dict[str, Report], before: dict[str, Report]) -> list[str]:
    """Rows read, quarantined and divided, and whether the snapshot is the same."""

    def facts(found: dict[str, Report]) -> dict[str, str]:
        validate, split = found.get("validate", {}), found.get("split", {})
        rows = validate.get("rows", {}) | split.get("rows", {})
        return {
            "snapshot": validate.get("inputs", {}).get("data", "–")[:12],
            **{f"rows {name}": number(rows.get(name)) for name in ("read", "valid", "quarantined", "train", "test")},
            "test rows begin": split.get("first_test_time") or "–",
        }

    here, there = facts(now), facts(before)
    return section("Data", ["", "base", "now"], [[name, there[name], here[name]] for name in here], "")


def plot(now: dict[str, Report]) -> list[str]:
    """Calibration as a picture that GitHub draws: mean outcome (bars) by mean prediction (line), in groups of rows."""
    path = Path("reports/plots/calibration.csv")
    if "evaluate" not in now or not path.is_file():
        return []
    predicted, actual = ([f"{value:.4g}" for value in column] for column in views.columns(path).values())
    picture = ["```mermaid", "xychart-beta", '  title "Calibration: outcome (bars), prediction (line)"',
               f"  x-axis [{', '.join(str(n) for n in range(1, len(actual) + 1))}]", '  y-axis "mean"',
               f"  bar [{', '.join(actual)}]", f"  line [{', '.join(predicted)}]", "```"]  # fmt: skip
    return ["", "### Calibration", "", *picture]


def text(run: Run, base: str, before: dict[str, Report]) -> str:
    """The page's Markdown: of what comes from data nothing is markup, and nobody is mentioned."""
    now, primary = current(run), metrics.PRIMARY[run.contract.task]
    sentence, state = reading.judged(run)
    changed = [row for path in (config.PATH, schema.PATH) for row in differences(path, base)]
    files = git("diff", "--name-only", "--relative", base, "--", *CODE, str(LOCK)).splitlines()
    mark = {"good": "✅", "bad": "❌"}.get(state, "⚠️")
    against = f"Against `{base[:12]}`" + ("" if before else ", which has no reports that could stand beside these")
    lines = [*rivals(run), *gates(now, before),
             *measured(now, before, primary, run.params.gates.confidence), *moved(now, before),
             *section("Parameters and contract", ["file", "key", "base", "now"], changed, "Unchanged."),
             *section("Code and lock", ["changed"], [[f"`{name}`"] for name in files], "Unchanged."),
             *data(now, before)]  # fmt: skip
    head = [f"## {mark} {sentence[0].upper() + sentence[1:]}", "", f"{against}."]
    return "\n".join([*head, *map(harmless, lines), *plot(now)]) + "\n"


def write(run: Run, commit: str) -> None:
    """Write `reports/change.md`. Raises InputError where there is no such commit."""
    try:
        base = git("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}")
    except InputError:
        raise InputError(f"git knows no commit {commit!r}: name one, or fetch it first") from None
    try:
        page = text(run, base, committed(base))
    except (LookupError, TypeError, ValueError, AttributeError):  # an earlier version of the template wrote others
        with reading.sound("evaluate"):
            page = text(run, base, {})
    record.write_text(PAGE, page)
    print(f"{PAGE}: against {base[:12]}")
