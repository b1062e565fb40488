"""The README's table of promises, from the figures that the simulation wrote beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULT = Path(__file__).with_name("result.json")
START, END = "<!-- promises: made by nox -s slow -->\n", "<!-- promises end -->\n"

Cell = dict[str, Any]

#: What each row of the table promises, and how often, by the name of the promise.
ROWS = {
    "threshold": ("a model exactly at the threshold passes", "at most 5"),
    "threshold power": ("a model under it by the stated detectable effect passes", "at least 80"),
    "superior": ("an equal challenger is promoted, one look at 5 %", "at most 5"),
    "twelve looks": ("any of twelve equal challengers is promoted", "at most 5"),
    "superior power": ("a challenger better by the stated detectable effect is promoted", "at least 80"),
    "non-inferior": ("a challenger worse by exactly the margin is promoted", "at most 5"),
    "slices": ("any of ten slices exactly at the floor is red", "at most 5"),
    "harmed slice": ("a slice ten points under the floor is red", "at least 80"),
}


def read(path: Path = RESULT) -> list[Cell]:
    """The cells that the simulation wrote."""
    cells: list[Cell] = json.loads(path.read_text(encoding="utf-8"))
    return cells


def write(cells: list[Cell], path: Path = RESULT) -> None:
    """Keep them, one to a line."""
    path.write_text("[\n" + ",\n".join(json.dumps(cell) for cell in cells) + "\n]\n", encoding="utf-8")


def percent(share: float) -> str:
    """A share in percent, to one digit below ten."""
    return f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"


def text(cell: Cell) -> str:
    """Ours, plain, row-wise; ours is bold where the promise does not hold."""
    ours = percent(cell["ours"])
    return " / ".join([ours if cell["kept"] else f"**{ours}**", percent(cell["plain"]), percent(cell["row_wise"])])


def render(cells: list[Cell]) -> str:
    """The table in Markdown: a row per promise, a column per world."""
    worlds = list(dict.fromkeys(cell["world"] for cell in cells))
    by = {(cell["promise"], cell["world"]): cell for cell in cells}
    lines = ["| what happens | % | " + " | ".join(worlds) + " |", "| --- " * (2 + len(worlds)) + "|"]
    for name, (says, level) in ROWS.items():
        lines.append(f"| {says} | {level} | " + " | ".join(text(by[name, world]) for world in worlds) + " |")
    return "\n".join(lines) + "\n"


def between(readme: str) -> tuple[str, str, str]:
    """The README before, between and after the two marks."""
    before, rest = readme.split(START)
    table, after = rest.split(END)
    return before, table, after


def put(readme: Path, cells: list[Cell]) -> None:
    """Write the table between the README's two marks."""
    before, _, after = between(readme.read_text(encoding="utf-8"))
    readme.write_text(f"{before}{START}\n{render(cells)}\n{END}{after}", encoding="utf-8")
