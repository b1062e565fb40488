"""Drift alarms: the monitor against Evidently's default preset, on the same windows of the flights, and their seconds.

Evidently runs in an environment of its own, with the pandas that it knows.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from project import HERE, Figure, Project, environment

#: Days of the ordinary windows that broken ones are set against.
UNBROKEN = 7
EVIDENTLY = ("evidently==0.7.23", "pandas<3", "pyarrow")


def said(command: list[str | Path], folder: Path) -> Any:
    """What a script's last line holds."""
    done = subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": ""}, check=False, capture_output=True,
                          text=True)  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr[-2000:]}")
    return json.loads((done.stdout.splitlines() or ["null"])[-1])


def percent(found: list[bool]) -> str:
    """The share of those that are true."""
    return f"{sum(found) / len(found):.0%}"


def drift(project: Project) -> list[Figure]:
    """False alarms on ordinary windows, alarms on broken ones, and the seconds for a million rows of thirty columns."""
    ours = [project.root / ".venv/bin/python", HERE / "drift_ours.py"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        theirs = [environment(out / "environment", *EVIDENTLY), HERE / "drift_evidently.py"]
        said([*ours, "windows", out], project.root)
        judged = said([*theirs, "windows", out], out)
        index = json.loads((out / "index.json").read_text(encoding="utf-8"))
        built, looked = said([*ours, "million", out], project.root)
        report = said([*theirs, "million", out], out)
    return [*alarms(index, judged), speed(built, looked, report)]


def alarms(index: list[dict[str, Any]], judged: list[tuple[list[str], bool]]) -> list[Figure]:
    """The lines about windows: `judged` says of each in `index` which columns drift, and whether half of them do."""
    ordinary: dict[int, list[tuple[bool, list[str], bool]]] = defaultdict(list)
    broken: dict[str, dict[str, list[tuple[bool, bool]]]] = defaultdict(lambda: defaultdict(list))
    for about, (names, table) in zip(index, judged, strict=True):
        if about["kind"] == "ordinary":
            ordinary[about["days"]].append((about["ours"], names, table))
        else:
            broken[about["kind"]][about["column"]].append((about["ours"], bool(names)))
    found = []
    for days, seen in ordinary.items():
        any_column, half = percent([bool(names) for _, names, _ in seen]), percent([table for *_, table in seen])
        what = f"ordinary windows that alarm, {days} day{'s' * (days > 1)}"
        mine = percent([one for one, *_ in seen])
        found.append(Figure(what, mine, "5 %", f"Evidently {any_column}; half of its columns in {half}"))
    for kind, columns in broken.items():
        told = [f"{name} {percent([theirs for _, theirs in pairs])}"
                f" (unbroken {percent([name in names for _, names, _ in ordinary[UNBROKEN]])})"
                for name, pairs in columns.items()]  # fmt: skip
        mine = percent([one for pairs in columns.values() for one, _ in pairs])
        what = f"{kind}: windows in which it is found"
        found.append(Figure(what, mine, "at least 90 %", f"Evidently {', '.join(told)}"))
    return found


def speed(built: float, looked: float, report: float) -> Figure:
    """The line about seconds: to build the reference (once, in training), to judge a window; Evidently's report."""
    detail = f"window {looked:.1f} s, its reference {built:.1f} s, Evidently {report:.0f} s"
    what = "a window of 1 million rows, 30 columns: Evidently's seconds against ours"
    return Figure(what, f"{report / looked:.0f}x", "at least 10x", detail)
