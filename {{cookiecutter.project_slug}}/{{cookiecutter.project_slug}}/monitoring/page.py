"""The monitor's report as a person reads it: `reports/monitor.md` and its pictures."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from .. import record, svg
from ..gates.report import harmless, number, table

PAGE = Path("reports/monitor.md")
PICTURES = Path("reports/monitor")
#: Colour-blind safe (Okabe and Ito 2008): quiet, alarm; and what is judged by.
BLUE, RED, GREY = "#0072B2", "#D55E00", "#777777"


def drift_picture(report: dict[str, Any]) -> str:
    """Each aspect's distance as a share of its threshold, the latest window full and earlier ones faint."""
    shown = [window for window in report["windows"] if window["aspects"]]
    names = [one["aspect"] for one in shown[-1]["aspects"]]
    with svg.figure(7, 0.8 + 0.25 * len(names)) as figure:
        axes = figure.subplots()
        for window in shown:
            opacity, size = (1.0, 6) if window is shown[-1] else (0.25, 4)
            for one in window["aspects"]:
                if one["aspect"] in names:
                    share = min(one["distance"] / max(one["threshold"], 1e-9), 2.0)
                    colour = RED if one["alarm"] else BLUE
                    axes.plot(share, names.index(one["aspect"]), "o", color=colour, alpha=opacity, markersize=size)
        axes.axvline(1, color=GREY, linewidth=1)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.set_xlim(0, 2.05)
        axes.set_xlabel("distance from the reference, in thresholds (2 and more at the edge)")
        return svg.write(figure)


def slices_picture(report: dict[str, Any]) -> str:
    """The gain on knowing nothing in each slice, with its interval."""
    parts = [part for part in report["quality"]["slices"] if part["low"] is not None]
    with svg.figure(7, 0.8 + 0.25 * len(parts)) as figure:
        axes = figure.subplots()
        for k, part in enumerate(parts):
            colour = RED if part["verdict"] == "fail" else BLUE
            axes.plot([part["low"], part["high"]], [k, k], color=colour)
            axes.plot(part["value"], k, "o", color=colour)
        axes.axvline(0, color=GREY, linewidth=1)
        axes.set_yticks(range(len(parts)), [f"{part['slice']} ({part['rows']})" for part in parts])
        axes.invert_yaxis()
        axes.set_xlabel(f"gain in {report['quality']['metric']} on knowing nothing; above 0 is better")
        return svg.write(figure)


def pictures(report: dict[str, Any]) -> dict[str, str]:
    """The pictures that the report has figures for, by name; none without matplotlib, as in the image."""
    found: dict[str, str] = {}
    if not importlib.util.find_spec("matplotlib"):
        return found
    if any(window["aspects"] for window in report["windows"]):
        found["drift"] = drift_picture(report)
    if any(part["low"] is not None for part in report["quality"]["slices"]):
        found["slices"] = slices_picture(report)
    return found


def said(text: str) -> str:
    """A reason, in one line: it may hold values of the table, and a pull request shows it."""
    return harmless(" ".join(text.split()))


def bounds(found: dict[str, float] | None) -> str:
    """A mean with its bounds, or a dash."""
    return f"{number(found['value'])} ({number(found['low'])} to {number(found['high'])})" if found else "–"


def page(report: dict[str, Any], drawn: list[str]) -> str:
    """`reports/monitor.md`: decision first."""
    labels, found, estimate = report["labels"], report["quality"], report["estimate"]
    champion = report["champion"]
    text = [f"# Monitor: {report['decision']}", "", f"{said(report['reason'])}.", ""]
    text += [f"Until {report['until']}; champion is version {champion['version']} (`{champion['digest'][:12]}`)."]
    rows = [
        [w["from"], w["until"], str(w["rows"]), w["verdict"], harmless(", ".join(w["alarms"]))]
        for w in report["windows"]
    ]
    text += ["", "## Windows", "", *table(["from", "until", "rows", "verdict", "alarms"], rows)]
    text += ["", "![distances](monitor/drift.svg)"] if "drift" in drawn else []
    text += ["", "## Quality, by late labels", "", f"{found['verdict']}: {said(found['reason'])}.", ""]
    figures = [["labels arrived, of those due", f"{labels['arrived']} of {labels['due']}"],
               [f"{found['metric']}, by labels", bounds(found["loss"])],
               [f"{found['metric']} of the test rows, when it was trained", number(found["reference"])],
               ["gain on knowing nothing", bounds(found["gain"])],
               ["lost by miscalibration", bounds(found["miscalibration"])],
               [f"{found['metric']}, an estimate without labels", number(estimate["value"]) if estimate else "–"],
               ["mean prediction", number(report["predictions"]["mean"]) if report["predictions"] else "–"],
               ["days since the newest training row", number(report["age_days"])]]  # fmt: skip
    text += table(["what", "found"], figures)
    text += ["", "![slices](monitor/slices.svg)"] if "slices" in drawn else []
    latest = report["windows"][-1]["aspects"]
    if latest:
        ranked = sorted(latest, key=lambda one: one["p"])
        columns = [[harmless(one["aspect"]), number(one["distance"]), number(one["threshold"]), number(one["p"]),
                    "alarm" if one["alarm"] else ""] for one in ranked]  # fmt: skip
        text += ["", "## The latest window", "", *table(["what", "distance", "threshold", "p", ""], columns)]
    asked = [[one["until"], one["version"], said(one["reason"])] for one in report["retrainings"]]
    text += ["", "## Retrainings asked for", "", *table(["until", "champion then", "why"], asked)] if asked else []
    return "\n".join(text) + "\n"


def write(report: dict[str, Any]) -> None:
    """Write `reports/monitor.md` and the pictures it shows. Raises StoreError."""
    drawn = pictures(report)

    def draw(partial: Path) -> None:
        partial.mkdir()
        for name, text in drawn.items():
            (partial / f"{name}.svg").write_text(text, encoding="utf-8", newline="\n")

    shutil.rmtree(PICTURES, ignore_errors=True)
    record.write_atomically(PICTURES, draw)
    record.write_text(PAGE, page(report, list(drawn)))
