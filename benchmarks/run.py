"""Measure the template against a plain script, DVC and Cookiecutter themselves: ratios of medians in one run.

`nox -s bench` runs all of it, prints the table and writes it between the marks in `benchmarks/README.md`;
`nox -s bench -- start noop` runs those parts alone and writes nothing. Parts take turns with what they are compared
with, so that both see the same machine.
"""

from __future__ import annotations

import json
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
MARKS = ("<!-- figures: made by nox -s bench -->", "<!-- figures end -->")


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
        """Give the source so many rows, drawn from its own days with new ids; its size in memory, in MB.

        The project's past goes, by which gate `history` would know the days and refuse other rows of them.
        """
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
        shutil.rmtree(self.root / ".git")
        for report in self.root.glob("reports/*.json"):
            report.unlink()
        (self.root / "dvc.lock").unlink(missing_ok=True)
        someone = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"]
        for command in (["init", "-q"], ["add", "-A"], [*someone, "commit", "-qm", f"{rows} rows"]):
            subprocess.run(["git", *command], cwd=self.root, check=True)
        return float(made.stdout)


def ratio(part: Cost, whole: Cost) -> str:
    """How many times as long the first takes."""
    return f"{part.seconds / whole.seconds:.2f}x"


def seconds(**costs: Cost) -> str:
    """Costs in words."""
    return ", ".join(f"{name.replace('_', ' ')} {one.seconds:.1f} s" for name, one in costs.items())


def start(project: Project) -> list[Figure]:
    """From nothing to a champion."""
    return [Figure("from nothing to a champion", f"{project.seconds:.0f} s", "", f"seconds: {project.steps}")]


def pipeline(project: Project) -> list[Figure]:
    """The whole pipeline against the plain script, at the sample's size."""
    found = in_turns(ROUNDS, pipeline=project.repro, plain=lambda: project.plain("explicit"),
                     default=lambda: project.plain("default"))  # fmt: skip
    detail = seconds(**found)
    return [
        Figure(
            "`dvc repro` against the plain script, 60 thousand rows",
            ratio(found["pipeline"], found["plain"]),
            "2.5x",
            detail,
        ),
        Figure("the same, MLflow left to its defaults", ratio(found["pipeline"], found["default"]), "1.3x", detail),
    ]


def large(project: Project) -> list[Figure]:
    """The whole pipeline against the plain script, at a million rows in the window."""
    size = project.enlarge(1_000_000)
    found = in_turns(ROUNDS, pipeline=project.repro, plain=lambda: project.plain("explicit"))
    slower = ratio(found["pipeline"], found["plain"])
    memory, plain = (found[name].megabytes / size for name in ("pipeline", "plain"))
    return [
        Figure("`dvc repro` against the plain script, 1 million rows", slower, "1.2x", seconds(**found)),
        Figure(
            "most memory of a process, of the table's", f"{memory:.1f}x", "", f"table {size:.0f} MB; plain {plain:.1f}x"
        ),
    ]


def growth(project: Project) -> list[Figure]:
    """Ingest, validate and split of 100 thousand, 1 million and 10 million rows."""
    found = []
    for rows in (100_000, 1_000_000, 10_000_000):
        project.enlarge(rows)
        used = project.repro("split")
        found.append(
            Figure(f"ingest to split, {rows:,} rows", f"{used.seconds:.1f} s", "", f"{used.megabytes:.0f} MB at most")
        )
    return found


def noop(project: Project) -> list[Figure]:
    """A pipeline with nothing to do against asking DVC whether there is."""
    project.cost("dvc", "repro")
    found = in_turns(ROUNDS, repro=lambda: project.cost("dvc", "repro"), status=lambda: project.cost("dvc", "status"))
    return [
        Figure(
            "`dvc repro` with nothing to do against `dvc status`",
            ratio(found["repro"], found["status"]),
            "1.5x",
            seconds(**found),
        )
    ]


def bake(_: Project) -> list[Figure]:
    """Baking against Cookiecutter on the same tree without hooks."""

    def baked(template: Path) -> Cost:
        with tempfile.TemporaryDirectory() as out:
            return cost([sys.executable, "-m", "cookiecutter", str(template), "--no-input", "-o", out], template)

    with tempfile.TemporaryDirectory() as folder:
        bare, ours = Path(folder, "bare"), Path(folder, "ours")
        for tree in (bare, ours):
            shutil.copytree(TEMPLATE, tree, ignore=shutil.ignore_patterns(".git", ".nox", ".tools", "__pycache__"))
        shutil.rmtree(bare / "hooks")
        found = in_turns(ROUNDS, ours=lambda: baked(ours), without_hooks=lambda: baked(bare))
    return [
        Figure(
            "baking against the same tree without hooks",
            ratio(found["ours"], found["without_hooks"]),
            "1.3x",
            seconds(**found),
        )
    ]


def statistics(project: Project) -> list[Figure]:
    """The share of the run that intervals, bootstraps and comparisons take."""
    project.cost("dvc", "repro")
    whole = project.repro()
    python = [str(project.root / ".venv/bin/python"), str(HERE / "statistics_share.py")]
    done = subprocess.run(python, cwd=project.root, check=True, capture_output=True, text=True)
    spent = json.loads(done.stdout.splitlines()[-1])
    return [
        Figure(
            "statistics, of the whole run",
            f"{spent / whole.seconds:.1%}",
            "10 %",
            f"{spent:.2f} s of {whole.seconds:.1f} s",
        )
    ]


PARTS: dict[str, Callable[[Project], list[Figure]]] = {
    part.__name__: part for part in (start, bake, noop, statistics, pipeline, large, growth)
}


def table(figures: list[Figure]) -> str:
    """The figures as a table in Markdown."""
    lines = ["| what | found | goal, at most | |", "| --- | --- | --- | --- |"]
    return "\n".join(lines + [f"| {f.what} | {f.found} | {f.goal} | {f.detail} |" for f in figures])


def main(names: list[str]) -> None:
    """Run the parts, all unless some are named."""
    unknown = set(names) - set(PARTS)
    if unknown:
        raise SystemExit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        figures: list[Figure] = []
        for name in names or PARTS:
            made = PARTS[name](project)
            print(table(made), flush=True)
            figures += made
    if not names:
        page = HERE / "README.md"
        before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        page.write_text(f"{before}{MARKS[0]}\n\n{table(figures)}\n\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
