"""A generated project at work: its commands, run as a stranger to this machine would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from baking import environment

SLUG = "flight_delays"
SAID: dict[int, Path] = {}


def copy_of(project: Path, folder: Path, *left_out: str) -> Path:
    """Return a copy of a project in `folder`, with the original's environment and without what is left out."""
    target = folder / project.name
    shutil.copytree(project, target, symlinks=True, ignore=shutil.ignore_patterns(".venv", ".tools", *left_out))
    (target / ".venv").symlink_to(project / ".venv")
    return target


@cache
def uv_cache() -> str:
    """Return where uv keeps what it fetched, so that a stranger's home does not mean fetching it again."""
    found = subprocess.run([sys.executable, "-m", "uv", "cache", "dir"], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def inside(project: Path, **variables: str) -> dict[str, str]:
    """Return the project's environment, as a stranger to this machine has it."""
    found = environment(project.parent) | {"UV_CACHE_DIR": uv_cache()} | variables
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    found["PATH"] = os.pathsep.join([str(project / ".venv" / "bin"), found["PATH"]])
    return found


def run(project: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command inside the project's environment, in the project's folder."""
    variables = inside(project, **variables)
    return subprocess.run(command, cwd=project, env=variables, check=False, capture_output=True, encoding="utf-8")


def start(project: Path, *command: str, **variables: str) -> subprocess.Popen[str]:
    """Start a command as `run` does, in a process group of its own, writing to a file that `said` reads."""
    with tempfile.NamedTemporaryFile("w+", dir=project.parent, prefix="said-", delete=False) as said:
        process = subprocess.Popen(command, cwd=project, env=inside(project, **variables), encoding="utf-8",
                                   stdout=said, stderr=said, start_new_session=True)  # fmt: skip
    SAID[process.pid] = Path(said.name)
    return process


def said(process: subprocess.Popen[str]) -> str:
    """Return what a started process, and whatever it started, has written so far."""
    return SAID[process.pid].read_text(encoding="utf-8")


def command(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one of the project's own commands."""
    return run(project, "python", "-m", SLUG, *arguments, **variables)


def works(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a command printed; it must have succeeded."""
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def aliases(project: Path) -> dict[str, str]:
    """Return the digest that each alias points to."""
    found = {}
    for alias in ("champion", "challenger", "previous"):
        done = command(project, "lineage", alias, "--json")
        if done.returncode == 0:
            found[alias] = json.loads(done.stdout)["digest"]
    return found


def set_param(project: Path, key: str, value: Any) -> None:
    """Set one dotted key of params.yaml."""
    path = project / "params.yaml"
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    *parents, last = key.split(".")
    node = tree
    for parent in parents:
        node = node[parent]
    node[last] = value
    path.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
