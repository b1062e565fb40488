"""What the benchmarks share: a project to measure, what its commands cost, and the lines of the table."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE.parent
SLUG = "flight_delays"
ROUNDS = 5


@dataclass(frozen=True)
class Figure:
    """One line of the table; `goal` as text, or empty."""

    what: str
    found: str
    goal: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Cost:
    """Wall-clock seconds, and the largest resident memory of any one process, in MB."""

    seconds: float
    megabytes: float


def cost(command: Sequence[str | Path], folder: Path, **variables: str) -> Cost:
    """Run a command, which must succeed, and measure it with its children."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment | variables, stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        if status:
            said.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{said.read().decode()[-2000:]}")
    return Cost(seconds, used.ru_maxrss / 1024)


def in_turns(rounds: int, **calls: Callable[[], Cost]) -> dict[str, Cost]:
    """The median cost of each call over rounds in which they take turns."""
    found: dict[str, list[Cost]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(call())
    return {name: Cost(median(c.seconds for c in costs), median(c.megabytes for c in costs))
            for name, costs in found.items()}  # fmt: skip


class Project:
    """A default project below a folder, taken to its first champion."""

    def __init__(self, folder: Path) -> None:
        """Bake and start it; `steps` are the seconds that `nox -s start` printed."""
        nox = [sys.executable, "-m", "nox"]
        began = time.perf_counter()
        command = [*nox, "-s", "start", "--", str(folder)]
        done = subprocess.run(command, cwd=TEMPLATE, check=True, stdout=subprocess.PIPE, text=True)
        self.seconds = time.perf_counter() - began
        self.steps = done.stdout.partition("\nseconds: ")[2].partition("\n")[0]
        self.root = folder / SLUG
        self.path = os.pathsep.join([str(self.root / ".venv/bin"), os.environ["PATH"]])

    def cost(self, *command: str) -> Cost:
        """The cost of a command in the project's environment."""
        program = shutil.which(command[0], path=self.path) or command[0]
        return cost([program, *command[1:]], self.root, PATH=self.path)

    def repro(self, *targets: str) -> Cost:
        """The cost of a pipeline that has run nowhere before."""
        for name in ("data", "model", ".dvc/cache/runs", ".dvc/tmp"):
            shutil.rmtree(self.root / name, ignore_errors=True)
        (self.root / "dvc.lock").unlink(missing_ok=True)
        return self.cost("dvc", "repro", *targets)

    def plain(self, how: str) -> Cost:
        """The cost of the same work as one script."""
        with tempfile.TemporaryDirectory() as out:
            return self.cost("python", str(HERE / "plain.py"), "demo/flights.parquet", out, "--mlflow", how)

    def enlarge(self, rows: int) -> float:
        """Give the source so many rows, drawn from its own days with new ids; its size in memory, in MB."""
        table = self.root / "demo/flights.parquet"
        kept = self.root / "demo/original.parquet"
        if not kept.exists():
            shutil.copy(table, kept)
        script = (
            "import sys, pandas as pd; old, new, rows = sys.argv[1:]; t = pd.read_parquet(old);"
            "t = t.sample(int(rows), replace=True, random_state=0).sort_values('scheduled', kind='stable');"
            "t['id'] = range(len(t)); t.to_parquet(new, index=False);"
            "print(t.memory_usage(deep=True).sum() / 1e6)"
        )
        python = self.root / ".venv/bin/python"
        made = subprocess.run(
            [python, "-c", script, kept, table, str(rows)], check=True, capture_output=True, text=True
        )
        self.begin_anew()
        return float(made.stdout)

    def begin_anew(self) -> None:
        """Leave the past, by which gate `history` would know the days and refuse other rows of them."""
        shutil.rmtree(self.root / ".git")
        for report in self.root.glob("reports/*.json"):
            report.unlink()
        (self.root / "dvc.lock").unlink(missing_ok=True)
        someone = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
        for command in (["init", "-q"], ["add", "-A"], [*someone, "commit", "-qm", "Other rows"]):
            subprocess.run(["git", *command], cwd=self.root, check=True)


def environment(folder: Path, *packages: str) -> Path:
    """The Python of a new environment with these packages, apart from the project's."""
    uv, python = [sys.executable, "-m", "uv"], folder / "bin" / "python"
    subprocess.run([*uv, "venv", "-q", "-p", sys.executable, folder], check=True)
    subprocess.run([*uv, "pip", "install", "-q", "--python", python, *packages], check=True)
    return python


def ratio(part: Cost, whole: Cost) -> str:
    """How many times as long the first takes."""
    return f"{part.seconds / whole.seconds:.2f}x"


def seconds(**costs: Cost) -> str:
    """Costs in words."""
    return ", ".join(f"{name.replace('_', ' ')} {one.seconds:.1f} s" for name, one in costs.items())
