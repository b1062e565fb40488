"""The statistics hold what they promise, on rows that are independent and on rows that are not.

The simulation itself is in tests/simulation; it runs in a generated project, by that project's own functions.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from baking import ROOT
from running import run, works
from simulation import table
from simulation.table import Cell

# One core, one thread: many small products are slower when two share them.
ONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "tests")}
#: Promises that do not hold, by promise and world: days in a row are alike, and the README says so.
BROKEN = {
    ("non-inferior", "runs of 8 days"),
    ("non-inferior", "runs, by `4 days`"),
    ("threshold", "runs of 8 days"),
    ("threshold power", "runs of 8 days"),
    ("threshold power", "runs, by `4 days`"),
    ("threshold power", "runs, by `7 days`"),
    ("twelve looks", "runs of 8 days"),
}


def simulate(project: Path, out: Path, *options: str) -> list[Cell]:
    """Run the simulation in a project and return its cells."""
    works(run(project, "python", "-m", "simulation", str(out), *options, **ONE))
    return table.read(out)


def broken(cells: list[Cell]) -> set[tuple[str, str]]:
    """The promises that do not hold, and where."""
    return {(cell["promise"], cell["world"]) for cell in cells if not cell["kept"]}


def test_few_trials_show_no_broken_promise(started: Path, tmp_path: Path) -> None:
    """Every promise in three worlds; and rows taken for independent do break it on the flights, so it can be seen."""
    cells = simulate(started, tmp_path / "result.json", "--quick")
    assert broken(cells) == set()
    assert {cell["promise"] for cell in cells} == set(table.ROWS)
    for cell in cells:
        at_most = table.ROWS[cell["promise"]][1].startswith("at most")
        assert not at_most or cell["plain"] > cell["bound"], cell
        assert not at_most or cell["world"] == "independent" or cell["row_wise"] > cell["bound"], cell


@pytest.mark.slow
def test_many_trials_give_the_committed_figures(started: Path, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """The same promises hold as in the README, and each share is its own but for the luck of the draw."""
    cells = simulate(started, tmp_path / "result.json")
    if pytestconfig.getoption("--write-table"):
        table.write(cells)
        table.put(ROOT / "README.md", cells)
    assert broken(cells) == BROKEN
    for new, kept in zip(cells, table.read(), strict=True):
        assert (new["promise"], new["world"]) == (kept["promise"], kept["world"])
        error = (max(kept["ours"] * (1 - kept["ours"]), 0.01) * 2 / kept["trials"]) ** 0.5
        assert abs(new["ours"] - kept["ours"]) < 5 * error, (new, kept)


def test_the_readme_shows_the_committed_figures() -> None:
    """Between its two marks, and every broken promise is one that is known."""
    cells = table.read()
    _, shown, _ = table.between((ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown.strip() == table.render(cells).strip()
    assert broken(cells) == BROKEN
    assert {cell["promise"] for cell in cells} == set(table.ROWS)


def test_the_table_says_where_a_promise_is_broken(tmp_path: Path) -> None:
    """In bold; and what is written is what is read."""
    cell = {"promise": "threshold", "world": "w", "ours": 0.051, "plain": 0.5, "row_wise": 0.0996, "kept": False}
    assert table.text(cell) == "**5.1** / 50 / 10"
    assert table.text(cell | {"kept": True}) == "5.1 / 50 / 10"
    cells = [cell | {"promise": name} for name in table.ROWS]
    table.write(cells, tmp_path / "result.json")
    assert table.read(tmp_path / "result.json") == json.loads(json.dumps(cells))
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.START}old\n{table.END}after\n", encoding="utf-8")
    table.put(readme, cells)
    before, shown, after = table.between(readme.read_text(encoding="utf-8"))
    assert (before, shown.strip(), after) == ("before\n", table.render(cells).strip(), "after\n")
