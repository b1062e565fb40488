"""A generated project at work: its commands, run as a stranger to this machine would."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from baking import environment

SLUG = "flight_delays"
SAID: dict[int, Path] = {}
#: Scores the test rows with the champion of the registry, through the project's own code, and compares.
LOADS = f"""
import sys
import numpy as np, pandas as pd
from {SLUG} import model, schema
from {SLUG}.__main__ import main
from {SLUG}.registry import artefact, tracking, versions
with tracking.session() as client:
    champion = versions.by_alias(client, "champion")
    with versions.bundle(client, champion) as folder:
        features = folder / "code" / tracking.NAME / "features.py"
        fitted = artefact.load(folder / "model.skops", champion.tags["digest"], features)
        rows = pd.read_parquet(sys.argv[1] + "/data/test.parquet")
        predicted = model.predict(fitted, rows, schema.load(folder / "schema.yaml"))
expected = pd.read_parquet(sys.argv[1] + "/data/predictions.parquet")["predicted"]
np.testing.assert_array_equal(predicted, expected)
print(len(expected))
sys.exit(main(["lineage"]))
"""


def copy_of(project: Path, folder: Path, *left_out: str) -> Path:
    """Return a copy of a project in `folder`, with the original's environment and without what is left out.

    Caches of linters never come along: a test's disk may be small, and another test may have filled them.
    """
    target = folder / project.name
    left_out = (".venv", ".tools", ".*_cache", *left_out)
    shutil.copytree(project, target, symlinks=True, ignore=shutil.ignore_patterns(*left_out))
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


def digest(project: Path) -> str:
    """Return the digest of the model that lies in a project."""
    return str(json.loads((project / "model/training.json").read_text(encoding="utf-8"))["digest"])


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line on stderr of a command that failed."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


def champion_loads(project: Path, origin: Path, **variables: str) -> None:
    """Hold that the registry's champion predicts what `origin` wrote down, and has a lineage."""
    said = works(run(project, "python", "-c", LOADS, str(origin), **variables))
    assert int(said.splitlines()[0]) > 1000
    assert digest(origin) in said


def forget(project: Path) -> None:
    """Let a project's own store say that its artefacts lie where nothing is, as after a move from another machine."""
    with closing(sqlite3.connect(project / ".mlflow/mlflow.db")) as store, store:
        ((old,),) = store.execute("select artifact_location from experiments where name = ?", (SLUG,)).fetchall()
        gone = "file:///gone/.mlflow/artifacts"
        store.execute("update experiments set artifact_location = ? where name = ?", (gone, SLUG))
        store.execute("update runs set artifact_uri = replace(artifact_uri, ?, ?)", (old, gone))


def free_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
