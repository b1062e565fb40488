"""The parts of the page that are about the model at work: drift, the loop, and where the model comes from."""

from __future__ import annotations

import os
from typing import Any

from ..errors import InputError
from ..gates.report import number
from ..registry import lineage, tracking
from . import pictures
from .pictures import Line, Mark
from .reading import Run, Section, Table
from .sections import SHOWN, interval, missing

DECISIONS = {"healthy": "good", "watch": "warn", "retrain": "warn", "halted": "bad"}
POLICIES = ("gated", "always", "frozen")


def drift(run: Run) -> Section:
    """What the last look at the prediction log found."""
    found = run.reports.get("monitor")
    if not found:
        return missing("Drift in use", "monitor")
    labels, quality, estimate = found["labels"], found["quality"], found["estimate"]
    notes = [
        f"The monitor watched version {found['champion']['version']} until {found['until']}.",
        f"Labels: {labels['arrived']} of {labels['due']} due ({labels['verdict']}). Quality: {quality['verdict']},"
        f" {quality['reason']}.",
    ]
    if estimate:
        notes.append(f"An estimate without labels, no measurement: {estimate['metric']} of the latest window is"
                     f" {number(estimate['value'])}.")  # fmt: skip
    windows = Table("Windows of the prediction log, oldest first", ["from", "until", "rows", "verdict", "alarms"],
                    [[one["from"], one["until"], one["rows"], one["verdict"], ", ".join(one["alarms"]) or "–"]
                     for one in found["windows"]])  # fmt: skip
    drawn = []
    marks = [Mark(one["aspect"], one["distance"], limit=one["threshold"], state="fail" if one["alarm"] else "pass")
             for one in found["windows"][-1]["aspects"]][:SHOWN]  # fmt: skip
    if marks:
        about = "; ".join(f"{mark.label} {number(mark.value)}, threshold {number(mark.limit)}" for mark in marks)
        picture = pictures.forest("drift", about, {"distance from the champion's reference": marks})
        drawn.append((picture, "The latest window against its thresholds (upright lines)."))
    drawn += labelled(quality) if quality["loss"] else []
    lead = f"{found['decision']}: {found['reason']}"
    return Section("Drift in use", lead, DECISIONS[found["decision"]], notes, drawn, [windows])


def labelled(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Quality on late labels: the loss, and the gain of each slice on knowing nothing."""
    metric, loss, limit = found["metric"], found["loss"], found["reference"]
    whole = Mark("labelled rows", loss["value"], loss["low"], loss["high"], limit,
                 "fail" if found["verdict"] == "bad" else "pass")  # fmt: skip
    parts = [Mark(one["slice"], one["value"], one["low"], one["high"], 0.0, one["verdict"])
             for one in found["slices"]][:SHOWN]  # fmt: skip
    about = f"{metric} on late labels: {interval(loss)}, reference {number(limit)}; "
    about += "; ".join(f"{mark.label} gains {number(mark.value)}" for mark in parts)
    panels = {metric: [whole]} | ({f"gain in {metric} on knowing nothing": parts} if parts else {})
    caption = ("Loss on late labels against that of the test rows when it was trained, and the gain of each slice"
               " (upright lines: that loss, and no gain).")  # fmt: skip
    return [(pictures.forest("quality", about, panels), caption)]


def loop(run: Run) -> Section:
    """The table's own months, walked with the real parts."""
    found = run.reports.get("loop")
    if not found:
        return missing("The loop", "loop")
    months, metric = found["months"], found["metric"]
    table = Table("Month by month", ["month", "rows", "fault", "decision", "outcome", *POLICIES, "champion"],
                  [[one["month"], one["rows"], one["fault"] or "–", one["decision"], one["outcome"],
                    *(one["policies"][policy]["loss"] for policy in POLICIES), one["champion"]]
                   for one in months])  # fmt: skip
    totals = {policy: found["totals"][policy]["loss"] for policy in POLICIES}
    told = ", ".join(f"{policy} {number(value)}" for policy, value in totals.items())
    lead = f"{metric} over {len(months)} months: {told}"
    names = [one["month"] for one in months]
    lines = [Line(policy, names, [one["policies"][policy]["loss"] for one in months]) for policy in POLICIES]
    marked = [(one["month"], one["policies"]["gated"]["loss"], "D" if one["outcome"] == "promoted" else "X")
              for one in months if one["outcome"] != "none"]  # fmt: skip
    lines[0] = Line("gated", names, lines[0].y, points=marked)
    drawn = [(pictures.curves("loop", lead, lines, "month", metric),
              "Loss by month and policy; diamonds: a challenger was promoted, crosses: one was refused.")]  # fmt: skip
    rivals = Table("The gated loop against the others, as a share of their loss",
                   ["against", "difference", "interval", "margin", "verdict"],
                   [[one["gated_against"], one["relative"], f"{number(one['low'])} to {number(one['high'])}",
                     one["margin"], "pass" if one["holds"] else "fail"] for one in found["comparisons"]])  # fmt: skip
    drawn += decay(found.get("staleness"), metric)
    good = all(one["holds"] for one in found["comparisons"])
    notes = [f"{one['month']}: {one['outcome']}, {one['reason']}" for one in months if one["outcome"] != "none"]
    return Section("The loop", lead, "good" if good else "warn", notes, drawn, [table, rivals])


def decay(found: dict[str, Any] | None, metric: str) -> list[tuple[str, str]]:
    """The staleness curve, if the loop drew one."""
    if not found or not found["curve"]:
        return []
    ages, excess, low, high = ([one[key] for one in found["curve"]] for key in ("age_days", "excess", "low", "high"))
    told = (
        f"{metric} exceeds a fresh model's by more than {number(found['margin'])} after {found['interval_days']} days"
    )
    lines = [Line("excess", ages, excess, (low, high))]
    return [(pictures.curves("staleness", told, lines, "age of the model in days", f"excess {metric}"),
             f"What age costs: {told}.")]  # fmt: skip


def origin(run: Run) -> Section:
    """Where this workspace's model and the registry's champion come from."""
    title, notes = "Lineage", []
    try:
        here = lineage.workspace(run.params)
    except InputError as error:
        here = {}
        notes.append(f"This workspace has no lineage: {error}.")
    champion, why = crowned()
    notes += [why] if why else []
    names = [*here, *(name for name in champion if name not in here)]
    table = Table("Hashes of what the model was made of", ["fact", "this workspace", "champion"],
                  [[name, here.get(name, "–"), champion.get(name, "–")] for name in names])  # fmt: skip
    same = bool(here) and here["digest"] == champion.get("digest")
    lead = "this workspace's model is the champion" if same else "this workspace's model is not the champion"
    return Section(title, lead, notes=notes, tables=[table] if names else [])


def crowned() -> tuple[dict[str, Any], str]:
    """What the registry knows of the champion, and why it knows nothing. No registry is made here."""
    if not (os.environ.get("MLFLOW_TRACKING_URI") or (tracking.store() / "mlflow.db").is_file()):
        return {}, "There is no registry yet: `promote` makes one."
    from ..registry import versions

    try:
        with tracking.session() as client:
            found = versions.lineage_of(client, "champion")
    except InputError as error:
        return {}, f"{error}."
    return {name: value for name, value in found.items() if not name.startswith("look.")}, ""
