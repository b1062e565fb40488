"""What each part of the page shows besides the report itself: pictures, and figures that are computed here."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Any

from .. import record
from ..errors import GateClosed, InputError
from ..gates import metrics, report, verdict
from ..gates.report import number
from ..registry import artefact, lineage, tracking, versions
from . import pictures, rows
from .pictures import Line, Mark
from .reading import Run

View = dict[str, Any]
PLOTS = Path("reports/plots")
#: Rows of a forest plot; the table beside it has all.
SHOWN = 40
MODELS, POLICIES = ("model", "linear", "dummy"), ("gated", "always", "frozen")


def span(low: float | None, high: float | None) -> str:
    """An interval in words."""
    return "–" if low is None else f"{number(low)} to {number(high)}"


def told(marks: list[Mark]) -> str:
    """Marks in words, for who cannot see them."""
    return "; ".join(f"{mark.label} {number(mark.value)}, {span(mark.low, mark.high)}, {mark.state}" for mark in marks)


def forest(name: str, axis: str, marks: list[Mark]) -> View:
    """Marks, and their picture, with one axis."""
    shown = marks[:SHOWN]
    return {"marks": marks, "svg": pictures.forest(name, f"{axis}: {told(shown)}", {axis: shown}) if shown else ""}


def gates(run: Run) -> View:
    """Every gate with its stage, closed ones first, and each red finding."""
    found = sorted(run.gates(), key=lambda one: one[1]["verdict"] == "pass")
    closed = [(stage, gate) for stage, gate in found if gate["verdict"] != "pass"]
    ways = [f"{gate['gate']} ({stage}): {why}" for stage, gate in closed for why in report.ways(gate)]
    return {"listed": found, "closed": len(closed), "ways": ways, "stages": report.REPORTS}


def measured(run: Run) -> View:
    """The primary metric of the model and of both baselines."""
    found, primary = run.reports.get("evaluate"), metrics.PRIMARY[run.contract.task]
    ends = ("value", "low", "high")
    marks = [Mark(name, *(found[name][primary][end] for end in ends)) for name in MODELS] if found is not None else []
    return {"primary": primary, **forest("metrics", f"{primary}, lower is better", marks)}


def rivals(run: Run) -> View:
    """Every test of the last promotion, an axis for each metric."""
    panels: dict[str, list[Mark]] = {}
    for test in run.reports.get("promotion", {}).get("tests", []):
        state = "pass" if test["passed"] else "fail"
        mark = Mark(test["test"], test["gain"], test["bound"], test["gain"], test["margin"], state)
        panels.setdefault(f"gain in {test['metric']}, more is better", []).append(mark)
    about = "; ".join(f"{axis}: {told(marks)}" for axis, marks in panels.items())
    return {"svg": pictures.forest("rivals", about, panels) if panels else ""}


def slices(run: Run) -> View:
    """Each slice's gain on the dummy, worst first; insufficient where the declared harm would seldom be seen."""
    harm = run.params.gates.posttrain.get("slices", {}).get("harm", math.inf)
    found = []
    for case in (case for case in run.cases("slices") if case["case"]):
        enough = case["detectable"] is not None and case["detectable"] <= harm
        state = "fail" if case["verdict"] != "pass" else "pass" if enough else "insufficient"
        low, high = case["interval"] or (None, None)
        found.append((Mark(case["case"], case["statistic"], low, high, case["threshold"], state), case))
    found.sort(key=lambda one: -math.inf if one[0].value is None else one[0].value)
    counts = {state: sum(mark.state == state for mark, _ in found) for state in pictures.STATES}
    axis = "gain on the dummy, more is better"
    return {"listed": found, "counts": counts, **forest("slices", axis, [mark for mark, _ in found])}


def columns(path: Path) -> dict[str, list[float]]:
    """The columns of a plot's table. Raises InputError when it is no table of numbers."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = list(csv.DictReader(stream))
        return {name: [float(row[name]) for row in table] for name in (table[0] if table else ())}
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged: run `dvc repro`") from error


def quality(run: Run) -> View:
    """Calibration and, of a binary task, both curves of the ranking; and what the gate says of the first."""
    drawn = {}
    for name in ("calibration", "roc", "precision_recall"):
        if (PLOTS / f"{name}.csv").is_file():
            (x, across), (y, up) = columns(PLOTS / f"{name}.csv").items()
            points = list(zip(across, up, strict=True))[:: max(len(up) // 10, 1)]
            about = f"{y} by {x}: " + ", ".join(f"{number(a)}: {number(b)}" for a, b in points)
            axes = [axis.replace("_", " ") for axis in (x, y)]
            drawn[name] = pictures.curves(name, about, [Line(name, across, up)], axes, name != "precision_recall")
    said = [gate["reason"] for _, gate in run.gates() if gate["gate"] == "calibration"]
    return {"drawn": drawn, "said": said[0] if said else "no gate judged the calibration"}


def importance(run: Run) -> View:
    """How much each input matters to the model that lies here; `why` it is not known."""
    primary = metrics.PRIMARY[run.contract.task]
    if "training" not in run.reports:
        return {"why": "not run: `dvc repro`"}
    try:
        fitted = artefact.load(verdict.MODEL, run.reports["training"]["digest"])
        test = record.read_parquet(verdict.TEST)
    except (GateClosed, InputError) as error:
        return {"why": str(error)}
    marks = rows.importance(fitted, test, run.contract, run.params.seed)
    about = f"rise of {primary} when shuffled"
    return {"why": "", "primary": primary, "repeats": rows.REPEATS, "rows": min(rows.ROWS, len(test)),
            **forest("importance", about, marks)}  # fmt: skip


def data(run: Run) -> View:
    """What the training rows hold."""
    train = record.read_parquet(verdict.TRAIN) if verdict.TRAIN.is_file() else None
    return {} if train is None else {"profile": rows.profile(train, run.contract), "count": len(train)}


def change(run: Run) -> View:
    """How far the test rows lie from the training rows: bars are what is usual, limits where the gate closes."""
    margin = run.params.gates.pretrain.get("drift", {}).get("margin")
    cases = [case for case in run.cases("drift") if case["case"] and margin is not None]
    cases.sort(key=lambda one: one["threshold"] - one["statistic"])
    marks = [Mark(case["case"], case["statistic"], 0.0, case["threshold"] - margin, case["threshold"], case["verdict"])
             for case in cases]  # fmt: skip
    return forest("change", "distance from the training rows", marks)


def drift(run: Run) -> View:
    """The latest window of the prediction log, and the quality by late labels."""
    found = run.reports.get("monitor")
    if found is None:
        return {"drawn": {}}
    aspects, seen = found["windows"][-1]["aspects"], found["quality"]
    marks = [Mark(one["aspect"], one["distance"], None, None, one["threshold"], "fail" if one["alarm"] else "pass")
             for one in aspects]  # fmt: skip
    drawn = {"drift": forest("drift", "distance from the champion's reference", marks)["svg"]}
    if seen["loss"]:
        bad = "fail" if seen["verdict"] == "bad" else "pass"
        loss = seen["loss"]
        whole = [Mark("labelled rows", loss["value"], loss["low"], loss["high"], seen["reference"], bad)]
        parts = [Mark(one["slice"], one["value"], one["low"], one["high"], 0.0, one["verdict"])
                 for one in seen["slices"]][:SHOWN]  # fmt: skip
        panels = {seen["metric"]: whole} | ({f"gain in {seen['metric']} on knowing nothing": parts} if parts else {})
        drawn["quality"] = pictures.forest("quality", told(whole + parts), panels)
    return {"drawn": drawn}


def loop(run: Run) -> View:
    """Loss by month and policy, with what became of challengers; and what age costs."""
    found = run.reports.get("loop")
    if found is None:
        return {"drawn": {}}
    names = [one["month"] for one in found["months"]]
    lines = []
    for policy in POLICIES:
        losses = [one["policies"][policy]["loss"] for one in found["months"]]
        asked = [(one["month"], loss, "D" if one["outcome"] == "promoted" else "X")
                 for one, loss in zip(found["months"], losses, strict=True) if one["outcome"] != "none"]  # fmt: skip
        lines.append(Line(policy, names, losses, points=asked if policy == "gated" else ()))
    about = "; ".join(f"{line.name} {', '.join(map(number, line.y))}" for line in lines)
    drawn = {"loop": pictures.curves("loop", about, lines, ["month", found["metric"]])}
    curve = (found.get("staleness") or {}).get("curve")
    if curve:
        ages, excess, low, high = ([one[key] for one in curve] for key in ("age_days", "excess", "low", "high"))
        about = ", ".join(f"{age} days: {number(cost)}" for age, cost in zip(ages, excess, strict=True))
        axes = ["age of the model in days", f"excess {found['metric']}"]
        drawn["staleness"] = pictures.curves("staleness", about, [Line("excess", ages, excess, (low, high))], axes)
    return {"drawn": drawn, "policies": POLICIES}


def origin(run: Run) -> View:
    """Where this workspace's model and the registry's champion come from, and why one is not known."""
    here: View = {}
    champion: View = {}
    notes = []
    try:
        here = lineage.workspace(run.params)
    except InputError as error:
        notes.append(f"This workspace has no lineage: {error}.")
    try:
        # No registry is made here.
        if os.environ.get("MLFLOW_TRACKING_URI") or (tracking.store() / "mlflow.db").is_file():
            with tracking.session() as client:
                champion = versions.lineage_of(client, "champion")
        else:
            notes.append("There is no registry yet: `promote` makes one.")
    except InputError as error:
        notes.append(f"{error}.")
    return {"here": here, "champion": champion, "remarks": notes, "facts": list(dict.fromkeys([*here, *champion]))}
