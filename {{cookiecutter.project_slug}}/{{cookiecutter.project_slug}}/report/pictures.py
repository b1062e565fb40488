"""Pictures as inline SVG that follow the page's colours, light or dark, and keep their text as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from .. import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SVG = "http://www.w3.org/2000/svg"
#: Colours to draw with, which nothing else has, and the page's own that they become.
INK, MUTED, RULE, ACCENT, BAD, SECOND = (f"#0{digit}0{digit}0{digit}" for digit in range(1, 7))
COLOURS = {INK: "ink", MUTED: "muted", RULE: "rule", ACCENT: "accent", BAD: "bad", SECOND: "second"}
#: Colour and shape of a mark: no state is told by colour alone.
STATES = {"pass": (ACCENT, "o", ACCENT), "fail": (BAD, "X", BAD), "insufficient": (MUTED, "o", "none")}
LINES = ((ACCENT, "-"), (SECOND, "--"), (MUTED, ":"))
#: Inches; a page on a phone shows a picture in its own size, a wider one shows it larger.
WIDTH, ROW, AXIS = 4.3, 0.23, 0.62
#: Characters of a label.
LABEL = 22
SETTINGS: dict[Any, Any] = {
    "font.size": 10, "text.color": INK,
    "axes.edgecolor": RULE, "axes.labelcolor": MUTED, "xtick.color": MUTED, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    "axes.grid": True, "grid.color": RULE, "grid.linewidth": 0.5,
}  # fmt: skip


@dataclass(frozen=True)
class Mark:
    """A row of a forest plot: a value, its interval, and the limit that it is judged by."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    state: str = "pass"


@dataclass(frozen=True)
class Line:
    """A curve by name; `y` may have gaps (None). `band`: its lower and upper edge. `points`: (x, y, marker)."""

    name: str
    x: Sequence[Any]
    y: Sequence[float | None]
    band: tuple[Sequence[float], Sequence[float]] | None = None
    points: Sequence[tuple[Any, float, str]] = ()


def plain(text: object) -> str:
    """Text in one line, with nothing in it that cannot be printed."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def short(text: str) -> str:
    """A label that leaves room for the picture."""
    text = plain(text)
    return text if len(text) <= LABEL else text[: LABEL - 1] + "…"


def forest(name: str, about: str, panels: dict[str, list[Mark]]) -> str:
    """Rows of values with intervals and limits, a panel (with an axis of its own) for each key; SVG.

    `name` is unique in the page, `about` says in words what is to be seen.
    """
    heights = [AXIS + ROW * len(marks) for marks in panels.values()]
    with svg.figure(WIDTH, sum(heights), SETTINGS) as figure:
        axes = figure.subplots(len(panels), height_ratios=heights, squeeze=False)[:, 0]
        for ax, (label, marks) in zip(axes, panels.items(), strict=True):
            rows(ax, marks)
            ax.set_xlabel(label)
        return inline(figure, name, about)


def extent(marks: list[Mark]) -> tuple[float, float]:
    """Where the axis begins and ends: at values and limits, and at intervals unless too few rows made them wide."""
    shown = [end for mark in marks for end in (mark.value, mark.limit)]
    shown += [end for mark in marks if mark.state != "insufficient" for end in (mark.low, mark.high)]
    known = [end for end in shown if end is not None] or [0.0]
    room = (max(known) - min(known)) * 0.06 or abs(known[0]) * 0.1 or 1.0
    return min(known) - room, max(known) + room


def rows(ax: Axes, marks: list[Mark]) -> None:
    """Draw marks from the top down."""
    for y, mark in enumerate(marks):
        colour, shape, face = STATES[mark.state]
        if mark.low is not None and mark.high is not None:
            ax.hlines(y, mark.low, mark.high, colors=colour, linewidth=2.2, alpha=0.55)
        if mark.value is not None:
            ax.plot(mark.value, y, shape, color=colour, markerfacecolor=face, markersize=5.5)
        if mark.limit is not None:
            ax.vlines(mark.limit, y - 0.38, y + 0.38, colors=INK, linewidth=1.3)
    ax.set_yticks(range(len(marks)), [short(mark.label) for mark in marks])
    ax.set_ylim(len(marks) - 0.4, -0.6)
    ax.set_xlim(*extent(marks))
    ax.locator_params(axis="x", nbins=4)
    ax.tick_params(length=0)
    ax.grid(visible=False, axis="y")
    ax.spines["left"].set_visible(False)


def curves(name: str, about: str, lines: list[Line], axes: Sequence[str], diagonal: bool = False) -> str:
    """Curves in one panel, with a legend where there are several; `axes` are the labels of x and y; SVG."""
    with svg.figure(WIDTH, 3.1, SETTINGS) as figure:
        ax = figure.subplots()
        if diagonal:
            ax.axline((0, 0), slope=1, color=MUTED, linewidth=1, linestyle=":")
        for line, (colour, style) in zip(lines, LINES, strict=False):
            heights = [float("nan") if value is None else value for value in line.y]
            shape = "o" if len(line.x) <= 12 else ""
            ax.plot(line.x, heights, style, color=colour, marker=shape, markersize=4, linewidth=1.8, label=line.name)
            if line.band:
                ax.fill_between(line.x, *line.band, color=colour, alpha=0.18, linewidth=0)
            for px, py, marker in line.points:
                ax.plot(px, py, marker, color=BAD if marker == "X" else colour, markersize=8)
        ax.set_xlabel(axes[0])
        ax.set_ylabel(axes[1])
        ax.tick_params(axis="y", colors=MUTED)
        ax.tick_params(axis="x", rotation=35 if lines and lines[0].x and isinstance(lines[0].x[0], str) else 0)
        if len(lines) > 1:
            ax.legend(loc="best")
        return inline(figure, name, about)


def inline(figure: Figure, name: str, about: str) -> str:
    """The figure as an SVG element for a page: ids of its own, the page's colours, a label, no date and no maker."""
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(svg.write(figure, transparent=True))
    for maker in root.findall(f"{{{SVG}}}metadata"):
        root.remove(maker)
    for element in root.iter():
        found = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update({key: attribute(key, value, name) for key, value in found.items()})
    for key in ("width", "height"):
        del root.attrib[key]
    root.attrib.update({"role": "img", "aria-label": about})
    return ElementTree.tostring(root, encoding="unicode")


def attribute(key: str, value: str, name: str) -> str:
    """The value of an SVG attribute with the page's colours, and with ids that no other picture has."""
    for colour, variable in COLOURS.items():
        value = value.replace(colour, f"var(--{variable})")
    if key == "id":
        return f"{name}-{value}"
    if key == "href":
        return value.replace("#", f"#{name}-", 1)
    return value.replace("url(#", f"url(#{name}-")
