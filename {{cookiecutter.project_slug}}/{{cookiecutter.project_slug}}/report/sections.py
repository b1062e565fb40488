"""The parts of the page that are about the model: gates, metrics, rival, slices, curves, inputs, rows."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from .. import record
from ..errors import GateClosed, InputError
from ..gates import metrics, report, verdict
from ..gates.report import number
from ..registry import artefact
from . import pictures, rows
from .pictures import Line, Mark
from .reading import Run, Section, Table, command, damaged

Made = TypeVar("Made")
PLOTS = Path("reports/plots")
#: Rows of a forest plot; the table below it has all.
SHOWN = 40


def missing(title: str, name: str) -> Section:
    """A part whose report was not written yet."""
    return Section(title, f"not run: `{command(name)}`")


def interval(found: dict[str, Any]) -> str:
    """A value with both of its bounds."""
    return f"{number(found['value'])} ({number(found['low'])} to {number(found['high'])})"


def gates(run: Run) -> Section:
    """Every gate, closed ones first."""
    found = run.gates()
    if not found:
        return missing("Gates", "posttrain")
    closed = [(stage, gate) for stage, gate in found if gate["verdict"] != "pass"]
    rest = [one for one in found if one not in closed]
    notes = [f"{gate['gate']} ({stage}): {why}" for stage, gate in closed for why in report.ways(gate)]
    notes += [f"{stage} does not count: {run.stale[stage]}: run `dvc repro`" for stage in report.REPORTS
              if stage in run.stale]  # fmt: skip
    notes += [f"{stage}: not run" for stage in report.REPORTS if stage not in run.reports]
    lead = f"{len(closed)} of {len(found)} gates closed" if closed else f"all {len(found)} gates passed"
    table = Table(
        "Each gate's finding that is nearest to its threshold; bounds are one-sided, over blocks",
        ["gate", "verdict", "finding", "statistic", "bound", "threshold", "stage"],
        [[gate["gate"], gate["verdict"], gate["reason"], gate.get("statistic"), gate.get("bound"),
          gate.get("threshold"), stage] for stage, gate in closed + rest],
    )  # fmt: skip
    return Section("Gates", lead, "bad" if closed else "warn" if notes else "good", notes, tables=[table])


def measured(run: Run) -> Section:
    """Every metric of the model and of both baselines."""
    found = run.reports.get("evaluate")
    if not found:
        return missing("Metrics", "evaluate")
    primary = metrics.PRIMARY[run.contract.task]
    models = ("model", "linear", "dummy")
    marks = [Mark(name, *(found[name][primary][key] for key in ("value", "low", "high"))) for name in models]
    about = f"{primary} of " + ", ".join(f"{name} {interval(found[name][primary])}" for name in models)
    table = Table(
        f"Value and bounds, each one-sided at {run.params.gates.confidence:.0%} over {found['units']} blocks",
        ["metric", *models],
        [[name, *(interval(found[one][name]) for one in models)] for name in found["model"]],
    )
    lead = f"{primary}, which decides, is {interval(found['model'][primary])} on {found['rows']} test rows"
    picture = pictures.forest("metrics", about, {f"{primary}, lower is better": marks})
    return Section("Metrics", lead, pictures=[(picture, "The model and what it must beat, with bounds.")],
                   tables=[table])  # fmt: skip


def rivals(run: Run) -> Section:
    """Champion against challenger: every test of the last promotion."""
    title, found = "Champion against challenger", run.reports.get("promotion")
    if not found:
        return missing(title, "promotion")
    old = run.stale.get("promotion")
    notes = [f"This decision does not count here: {old}: run `{command('promotion')}`"] if old else []
    sides = [f"{side} is version {found[side]['version']}" for side in ("challenger", "champion") if found.get(side)]
    notes += ["; ".join(sides)] if sides else []
    state = {"refused": "warn"}.get(found["decision"], "warn" if old else "good")
    lead = f"{found['decision']}{' (dry run)' if found['dry_run'] else ''}: {found['reason']}"
    tests = found["tests"]
    if not tests:
        return Section(title, lead, state, notes)
    panels: dict[str, list[Mark]] = {}
    for test in tests:
        mark = Mark(test["test"], test["gain"], test["bound"], test["gain"], test["margin"],
                    "pass" if test["passed"] else "fail")  # fmt: skip
        panels.setdefault(f"gain in {test['metric']}, more is better", []).append(mark)
    about = "; ".join(f"{t['test']} {t['metric']}: gain {number(t['gain'])}, bound {number(t['bound'])}, margin"
                      f" {number(t['margin'])}" for t in tests)  # fmt: skip
    table = Table(
        f"Look {number(found['look'])} at {found['rows']['compared']} rows in {found['units']} blocks, alpha"
        f" {number(found['alpha'])}",
        ["test", "metric", "verdict", "gain", "bound", "margin", "detectable"],
        [[t["test"], t["metric"], "pass" if t["passed"] else "fail", t["gain"], t["bound"], t["margin"],
          t["detectable"]] for t in tests],
    )  # fmt: skip
    picture = pictures.forest("rivals", about, panels), "The bar's end must lie right of the margin, the upright line."
    return Section(title, lead, state, notes, [picture], [table])


def sliced(run: Run) -> list[tuple[Mark, report.Gate]]:
    """Each slice's gain on the dummy, worst first; insufficient where the declared harm would seldom be seen."""
    harm = run.params.gates.posttrain.get("slices", {}).get("harm", math.inf)
    found = []
    for case in (case for case in run.cases("slices") if case["case"]):
        told = case["detectable"] is not None and case["detectable"] <= harm
        state = "fail" if case["verdict"] != "pass" else "pass" if told else "insufficient"
        low, high = case["interval"] or (None, None)
        found.append((Mark(case["case"], case["statistic"], low, high, case["threshold"], state), case))
    return sorted(found, key=lambda one: -math.inf if one[0].value is None else one[0].value)


def slices(run: Run) -> Section:
    """How much each slice gains on the dummy."""
    found = sliced(run)
    if not found:
        return Section("Slices", "no gate `slices` has judged any")
    marks = [mark for mark, _ in found][:SHOWN]
    counts = {state: sum(mark.state == state for mark, _ in found) for state in pictures.STATES}
    lead = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    table = Table(
        "Gain of each slice on the dummy, worst first; insufficient: too few rows to see the declared harm",
        ["slice", "verdict", "gain", "interval", "detectable", "rows", "blocks"],
        [[mark.label, mark.state, mark.value, span(mark), case["detectable"], case["rows"], case["units"]]
         for mark, case in found],
        folded=len(found) > SHOWN,
    )  # fmt: skip
    about = "gain by slice: " + "; ".join(f"{mark.label} {number(mark.value)} {mark.state}" for mark in marks)
    picture = pictures.forest("slices", about, {"gain on the dummy, more is better": marks})
    caption = ("Each slice's gain with its interval, against the floor (upright line). Hollow: too few rows to tell;"
               " such an interval may leave the picture.")  # fmt: skip
    return Section("Slices", lead, "bad" if counts["fail"] else "good", [], [(picture, caption)], [table])


def span(mark: Mark) -> str:
    """An interval in words."""
    return "–" if mark.low is None else f"{number(mark.low)} to {number(mark.high)}"


def columns(path: Path) -> dict[str, list[float]]:
    """The columns of a plot's table. Raises InputError when it is no table of numbers."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = list(csv.DictReader(stream))
        return {name: [float(row[name]) for row in table] for name in (table[0] if table else ())}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path} is damaged: run `dvc repro`") from error


def quality(run: Run) -> Section:
    """Calibration and, of a binary task, both curves of the ranking."""
    found = []
    for name, caption, x, y, diagonal in (
        ("calibration", "Calibration: what came against what was said, in ten bins.", "predicted", "actual", True),
        ("roc", "ROC: share of positives found by share of false alarms.", "false_positive_rate",
         "true_positive_rate", True),
        ("precision_recall", "Precision by recall.", "recall", "precision", False),
    ):  # fmt: skip
        if (PLOTS / f"{name}.csv").is_file():
            table = columns(PLOTS / f"{name}.csv")
            about = f"{caption} " + ", ".join(f"{number(a)}: {number(b)}" for a, b in list(zip(
                table[x], table[y], strict=True))[:: max(len(table[x]) // 10, 1)])  # fmt: skip
            line = Line(name, table[x], table[y])
            across, up = (axis.replace("_", " ") for axis in (x, y))
            found.append((pictures.curves(name, about, [line], across, up, diagonal), caption))
    judged = next((gate["reason"] for _, gate in run.gates() if gate["gate"] == "calibration"), "no gate judged it")
    return Section("Calibration and ranking", judged, pictures=found) if found else missing(
        "Calibration and ranking", "evaluate")  # fmt: skip


def inputs(run: Run) -> Section:
    """How much each input matters to the model that lies here."""
    title = "Importance of inputs"
    if "training" not in run.reports:
        return missing(title, "training")
    try:
        fitted = artefact.load(verdict.MODEL, run.reports["training"]["digest"])
        test = record.read_parquet(verdict.TEST)
    except (GateClosed, InputError) as error:
        return Section(title, str(error), "warn")
    marks = rows.importance(fitted, test, run.contract, run.params.seed)
    primary = metrics.PRIMARY[run.contract.task]
    lead = f"shuffling {marks[0].label} costs most: {number(marks[0].value)} of {primary}"
    note = (f"{rows.REPEATS} shuffles of each input among {min(rows.ROWS, len(test))} test rows, row by row and not in"
            " blocks: bars span the shuffles and are no confidence intervals. Inputs that say the same share their"
            " importance.")  # fmt: skip
    about = "; ".join(f"{mark.label} {number(mark.value)}" for mark in marks)
    picture = pictures.forest("importance", f"rise of {primary}: {about}", {f"rise of {primary}": marks[:SHOWN]})
    table = Table(f"Rise of {primary} when an input is shuffled: mean, least and largest of the shuffles",
                  ["input", "rise", "least", "largest"],
                  [[mark.label, mark.value, mark.low, mark.high] for mark in marks])  # fmt: skip
    return Section(title, lead, notes=[note], pictures=[(picture, "What shuffling an input costs.")], tables=[table])


def data(run: Run) -> Section:
    """What the training rows hold."""
    if not verdict.TRAIN.is_file():
        return missing("Data", "training")
    train = record.read_parquet(verdict.TRAIN)
    profile = Table("Columns of the training rows; of numbers least, 25 %, median, 75 % and largest",
                    ["column", "role", "type", "null", "distinct", "values"],
                    rows.profile(train, run.contract))  # fmt: skip
    return Section("Data", f"{len(train)} training rows of {len(profile.rows)} columns", tables=[profile])


def change(run: Run) -> Section:
    """How far the test rows lie from the training rows."""
    title, margin = "Change of the data", run.params.gates.pretrain.get("drift", {}).get("margin")
    cases = [case for case in run.cases("drift") if case["case"]]
    if margin is None or not cases:
        return Section(title, "no gate `drift` has compared the test rows with the training rows")
    marks = [Mark(case["case"], case["statistic"], 0.0, case["threshold"] - margin, case["threshold"], case["verdict"])
             for case in sorted(cases, key=lambda one: one["threshold"] - one["statistic"])]  # fmt: skip
    table = Table("Distance of the test rows from the training rows, 0 to 1",
                  ["aspect", "verdict", "distance", "usual", "threshold"],
                  [[mark.label, mark.state, mark.value, mark.high, mark.limit] for mark in marks],
                  folded=len(marks) > SHOWN)  # fmt: skip
    about = "; ".join(f"{mark.label} {number(mark.value)}, usual {number(mark.high)}" for mark in marks[:SHOWN])
    picture = pictures.forest("change", about, {"distance from the training rows": marks[:SHOWN]})
    caption = "How far test rows lie from training rows (marks), what is usual (bars), where the gate closes (lines)."
    closed = sum(mark.state != "pass" for mark in marks)
    lead = f"the test rows moved too far in {closed} of {len(marks)} aspects" if closed else (
        f"no aspect of the test rows moved beyond its limit; {marks[0].label} came nearest")  # fmt: skip
    return Section(title, lead, "bad" if closed else "good", [], [(picture, caption)], [table])


def checked(make: Callable[[Run], Made], name: str, run: Run) -> Made:
    """What `make` makes of a report. Raises InputError when the report does not hold what it should."""
    try:
        return make(run)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise damaged(name, error) from error
