"""Measure the template against a plain script, DVC and Cookiecutter themselves: ratios of medians in one run.

`nox -s bench` runs all of it but the loop, prints the table and writes it between the marks in `benchmarks/README.md`;
`nox -s bench -- start noop` runs those parts alone and writes nothing, unless `--write` is there: their lines then take
the place of those about the same. Parts take turns with what they are compared
with, so that both see the same machine.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from drift import drift
from loop import loop
from project import HERE, ROUNDS, TEMPLATE, Cost, Figure, Project, cost, in_turns, ratio, seconds
from serve import batch, serve
from wages import wages

MARKS = ("<!-- figures: made by nox -s bench -->", "<!-- figures end -->")


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
    part.__name__: part
    for part in (start, bake, noop, statistics, serve, batch, drift, pipeline, large, growth, loop, wages)
}
#: Parts that run only when they are named.
LONG = ("loop", "wages")


def line(figure: Figure) -> str:
    """A figure as a line of the table."""
    return f"| {figure.what} | {figure.found} | {figure.goal} | {figure.detail} |"


def table(lines: list[str]) -> str:
    """Lines under their head, in Markdown."""
    return "\n".join(["| what | found | goal, at most unless said | |", "| --- | --- | --- | --- |", *lines])


def merged(old: list[str], new: list[str]) -> list[str]:
    """The old lines, those about the same replaced in their place, and at the end the new ones about something else."""
    fresh = {one.split("|")[1]: one for one in new}
    kept = [fresh.pop(one.split("|")[1], one) for one in old]
    return kept + list(fresh.values())


def write(lines: list[str]) -> None:
    """Put lines between the marks of the page, in place of those about the same."""
    page = HERE / "README.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    old, _, after = rest.partition(MARKS[1])
    there = [one for one in old.splitlines() if one.startswith("| ")][2:]
    page.write_text(f"{before}{MARKS[0]}\n\n{table(merged(there, lines))}\n\n{MARKS[1]}{after}", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Run the parts, all unless some are named."""
    names = [one for one in arguments if one != "--write"]
    unknown = set(names) - set(PARTS)
    if unknown:
        raise SystemExit(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        lines: list[str] = []
        for name in names or [part for part in PARTS if part not in LONG]:
            made = [line(figure) for figure in PARTS[name](project)]
            print(table(made), flush=True)
            lines += made
    if not names or "--write" in arguments:
        write(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
