"""`reports/loop.json` as a person reads it: `reports/loop.md` and `reports/loop.svg`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import record, svg
from ..gates.report import cell, number
from .figures import POLICIES

REPORT = Path("reports/loop.json")
#: Colour-blind safe (Okabe and Ito 2008).
COLOURS = dict(zip(POLICIES, ("#999999", "#e69f00", "#0072b2"), strict=True))
MARKS = {"promoted": ("^", "#009e73"), "refused": ("x", "#d55e00")}


def sentences(found: dict[str, Any]) -> list[str]:
    """What the walk showed, a sentence each."""
    told = []
    for one in found["comparisons"]:
        bound = "below 0" if found["faults"] else f"at most {one['margin']:.0%}"
        told.append(f"Gated against {one['gated_against']}: {one['relative']:+.1%} of its {found['metric']}"
                    f" ({one['low']:+.1%} to {one['high']:+.1%}); the upper bound must be {bound}:"
                    f" {'it is' if one['holds'] else '**it is not**'}.")  # fmt: skip
    stale = found["staleness"]
    if stale and stale["interval_days"] is not None:
        told.append(f"Staleness: a model's mean {found['metric']} is surely within {number(stale['margin'])} of the"
                    f" newest model's until its newest training row is {stale['interval_days']} days old: a larger"
                    " `monitor.max_age_days` lets it lose more than promotion would.")  # fmt: skip
    for fault in found["struck"]:
        if fault["month"] is None:
            told.append(f"{fault['fault'].capitalize()}: **did not strike**; no retraining got so far.")
            continue
        by = (
            f"named by {', '.join(fault['named_by'])} in {fault['named_in']}"
            if fault["named_by"]
            else "**named by no gate**"
        )
        told.append(f"{fault['fault'].capitalize()} in {fault['month']}: {by}.")
    return told


def markdown(found: dict[str, Any]) -> str:
    """The report as Markdown."""
    mode = found["mode"] + (", with faults" if found["faults"] else "")
    names = ", ".join(POLICIES)
    lines = [f"# Loop ({mode})", "", *(f"- {one}" for one in sentences(found)), ""]
    lines += ["![Loss and AUC by month](loop.svg)", ""]
    lines += [f"Mean {found['metric']} and AUC of {names}: the first champion for ever, a new model every month, the"
              " gated loop.", ""]  # fmt: skip
    lines += [f"| month | rows | fault | {' | '.join(POLICIES)} | monitor | outcome | gates |", "|---" * 9 + "|"]
    for month in [*found["months"], {"month": "all", "policies": found["totals"]}]:
        scores = [" / ".join(number(value) for value in month["policies"][name].values()) for name in POLICIES]
        outcome = {"promoted": "**promoted**", "refused": "*refused*"}.get(month.get("outcome", ""), "")
        cells = [month["month"], month.get("rows", ""), month.get("fault") or "", *scores, month.get("decision", ""),
                 outcome, ", ".join(month.get("gates", []))]  # fmt: skip
        lines.append("| " + " | ".join(cell(str(one)) for one in cells) + " |")
    return "\n".join(lines) + "\n"


def picture(found: dict[str, Any]) -> str:
    """Loss and AUC by month as SVG: a line for each policy, promotions, refusals and faults marked."""
    months = found["months"]
    shown = [name for name in ("loss", "auc") if any(m["policies"][POLICIES[0]][name] is not None for m in months)]
    with svg.figure(9, 2.8 * len(shown)) as figure:
        for axes, name in zip(figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0], shown, strict=True):
            for policy, colour in COLOURS.items():
                values = [float("nan") if (v := m["policies"][policy][name]) is None else v for m in months]
                axes.plot(range(len(months)), values, "o-", color=colour, label=policy, markersize=4)
            for i, month in enumerate(months):
                if month["outcome"] in MARKS:  # judged when the month was over
                    marker, colour = MARKS[month["outcome"]]
                    axes.plot(i + 0.5, 0.03, marker, color=colour, transform=axes.get_xaxis_transform(), clip_on=False)
                if month["fault"]:
                    axes.axvspan(i - 0.4, i + 0.4, color="#f0e442", alpha=0.4, linewidth=0)
                    if name == shown[0]:  # below, lines would run through it
                        axes.text(i, 0.97, month["fault"], transform=axes.get_xaxis_transform(), ha="center", va="top",
                                  fontsize=7)  # fmt: skip
            axes.set_ylabel(found["metric"] if name == "loss" else "AUC")
            axes.grid(alpha=0.3)
        axes.set_xticks(range(len(months)), [month["month"] for month in months])
        for outcome, (marker, colour) in MARKS.items():
            axes.plot([], [], marker, color=colour, label=outcome)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False)
        return svg.write(figure)


def write(found: dict[str, Any]) -> None:
    """Write the report and what is made of it."""
    record.write_json(REPORT, found)
    found = record.read_json(REPORT)
    for suffix, text in ((".svg", picture(found)), (".md", markdown(found))):
        record.write_text(REPORT.with_suffix(suffix), text)
