"""The stores, for real: MLflow on PostgreSQL and S3, DVC on S3, a folder elsewhere, servers that die, full disks."""

from __future__ import annotations

import json
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from disks import read_only, small_disk
from running import SLUG, command, copy_of, run, set_param, works
from stores import AWS, Registry, Server, free_port, objects

#: Scores the test rows with the champion of the registry, through the project's own code, and compares.
LOADS = f"""
import sys
import numpy as np, pandas as pd
from {SLUG} import model, schema
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
"""

#: A stage and the bytes that it meets: it fails at its first output, at a later one, or in what its gates found.
FULL = [("ingest", 100_000), ("validate", 20_000), ("pretrain", 8192), ("train", 100_000), ("evaluate", 0)]
NO_ROOM = "No space left|disk is full|disk full|File too large"


@pytest.fixture(scope="session")
def changed(started: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a project with another model than its champion, and what its pipeline said while the server was dead."""
    project = copy_of(started, tmp_path_factory.mktemp("changed"))
    set_param(project, "train.arguments.max_iter", 90)
    done = run(project, "dvc", "repro", MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")
    works(done)
    return project, done.stderr


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
    assert int(works(run(project, "python", "-c", LOADS, str(origin), **variables))) > 1000
    assert digest(origin) in works(command(project, "lineage", **variables))


def clone_of(project: Path, folder: Path) -> Path:
    """Return a git clone with the original's environment, and nothing that is not in git."""
    folder.mkdir(parents=True)
    works(run(project, "git", "clone", "-q", str(project), str(folder / SLUG)))
    (folder / SLUG / ".venv").symlink_to(project / ".venv")
    return folder / SLUG


def test_one_variable_moves_the_registry_to_postgresql_and_s3(
    copy: Path, server: Registry, s3: Server, tmp_path: Path
) -> None:
    """Journal, register, promote, lineage, rollback by MLFLOW_TRACKING_URI alone; another clone sees the same."""
    shutil.rmtree(copy / ".mlflow")
    uri = {"MLFLOW_TRACKING_URI": server.url}
    first = digest(copy)
    works(command(copy, "promote", **uri))
    assert server.aliases() == {"champion": first, "challenger": first}
    set_param(copy, "train.arguments.max_iter", 80)
    works(run(copy, "dvc", "repro", **uri))
    second = digest(copy)
    journalled = {tag["value"] for one in server.runs() for tag in one["data"]["tags"] if tag["key"] == "digest"}
    assert {first, second} <= journalled
    assert works(command(copy, "register", **uri)).startswith("version 2: ")
    assert server.aliases() == {"champion": first, "challenger": second}
    works(command(copy, "promote", "--reset", "a test", **uri))
    assert server.aliases() == {"champion": second, "challenger": second, "previous": first}
    champion_loads(copy, copy, **uri)
    kept = objects(s3, "mlflow")
    models = {key.split("/")[2] for key in kept if key.endswith("/artifacts/model/model.skops")}
    assert {one["info"]["run_id"] for one in server.runs()} >= models
    assert len(models) >= 2
    here = {path.relative_to(copy).parts[0] for path in copy.rglob("*") if path.name in ("MLmodel", "mlflow.db")}
    assert here == set()
    works(command(copy, "rollback", **uri))
    assert server.aliases() == {"champion": first, "challenger": second, "previous": second}
    clone = clone_of(copy, tmp_path / "clone")
    facts = json.loads(works(command(clone, "lineage", "--json", **uri)))
    assert (facts["digest"], facts["version"]) == (first, "1")


def test_data_goes_to_s3_and_comes_back(copy: Path, s3: Server, tmp_path: Path) -> None:
    """An S3 remote by its endpoint: pushed, nothing left to push, and a fresh clone pulls the same bytes."""
    for arguments in (
        ("add", "--force", "--default", "storage", "s3://data/dvc"),
        ("modify", "storage", "endpointurl", s3.url),
    ):
        works(run(copy, "dvc", "remote", *arguments))
    works(run(copy, "git", "commit", "-qam", "Use the remote"))
    assert "new:" in works(run(copy, "dvc", "status", "-c", **AWS))
    works(run(copy, "dvc", "push", **AWS))
    assert "in sync" in works(run(copy, "dvc", "status", "-c", **AWS))
    assert len(objects(s3, "data")) >= 8
    clone = clone_of(copy, tmp_path / "clone")
    assert not (clone / "model/model.skops").exists()
    works(run(clone, "dvc", "pull", **AWS))
    assert "up to date" in works(run(clone, "dvc", "status"))
    for name in ("data/train.parquet", "data/predictions.parquet", "model/model.skops"):
        assert (clone / name).read_bytes() == (copy / name).read_bytes()


def test_the_champion_loads_after_a_move_and_from_a_clone(copy: Path, started: Path, tmp_path: Path) -> None:
    """Moved, or cloned and given the store's folder: nothing looks for the old place, which is gone."""
    works(command(copy, "lineage"))  # from here on, the store says that it lies here
    moved = tmp_path / "moved, and renamed" / SLUG
    moved.parent.mkdir()
    copy.rename(moved)
    champion_loads(moved, started)
    clone = clone_of(moved, tmp_path / "clone")
    (moved / ".mlflow").rename(clone / ".mlflow")
    champion_loads(clone, started)


def test_the_champion_loads_from_a_disk_that_cannot_be_written(copy: Path, started: Path, tmp_path: Path) -> None:
    """Mounted read-only elsewhere: reading works, and what would write says in one line that it cannot."""
    works(command(copy, "lineage"))
    with read_only(copy, tmp_path / "elsewhere") as there:
        champion_loads(there, started)
        for arguments in (("register",), ("promote",), ("rollback",), ("ingest",)):
            assert "cannot write" in one_line(command(there, *arguments))


def test_a_dead_server_costs_a_pipeline_one_line(changed: tuple[Path, str]) -> None:
    """The training ran, was not journalled, and says so once."""
    said = [line for line in changed[1].splitlines() if "MLflow" in line]
    assert len(said) == 1
    assert said[0].startswith("warning: this training is not journalled: ")


@pytest.mark.parametrize("listens", [False, True])
def test_a_server_that_does_not_answer_is_one_line_in_seconds(copy: Path, listens: bool) -> None:
    """Whether it refuses the connection or takes it and says nothing: at most ten seconds, and no password shown."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if not listens:
            listener.close()
        for arguments in (("lineage",), ("register",), ("promote",)):
            began = time.monotonic()
            said = one_line(command(copy, *arguments, MLFLOW_TRACKING_URI=f"http://me:secret@127.0.0.1:{port}"))
            assert time.monotonic() - began < 10
            assert f"MLflow store http://127.0.0.1:{port} cannot be used: " in said
            assert ("timed out" if listens else "refused") in said
            assert "secret" not in said


def test_a_server_whose_database_stopped_is_one_line(copy: Path, server: Registry, postgres: Server) -> None:
    """MLflow lives, PostgreSQL does not; when it is back, nothing had been registered and everything works."""
    postgres.end()
    try:
        for arguments in (("lineage",), ("promote",)):
            began = time.monotonic()
            assert "cannot be used" in one_line(command(copy, *arguments, MLFLOW_TRACKING_URI=server.url))
            assert time.monotonic() - began < 15
    finally:
        postgres.start()
    assert server.aliases() == {}
    assert server.digests() == []


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_a_server_killed_during_a_promotion_leaves_old_or_new(
    copy: Path, changed: tuple[Path, str], server: Registry, tmp_path: Path, seed: int
) -> None:
    """Killed between two requests: one line, no half version, and promoting again ends right."""
    uri = {"MLFLOW_TRACKING_URI": server.url}
    works(command(copy, "promote", **uri))
    challenger = copy_of(changed[0], tmp_path / "challenger")
    old, new = digest(copy), digest(challenger)
    over, moment = threading.Event(), server.requests() + random.Random(seed).randint(5, 60)

    def kill() -> None:
        while server.requests() < moment:
            assert not over.wait(0.01), "the promotion ended before the server did"
        server.end()

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        done = command(challenger, "promote", "--reset", "a test", **uri)
        over.set()
        killed.result()
    assert "cannot be used" in one_line(done)
    server.start()
    assert server.aliases()["champion"] in (old, new)
    assert server.digests() in ([old], [old, new])
    works(command(challenger, "promote", "--reset", "a test", **uri))
    assert server.aliases() == {"champion": new, "challenger": new, "previous": old}
    assert server.digests() == [old, new]
    champion_loads(challenger, challenger, **uri)


def test_a_stage_on_a_full_disk_leaves_what_was_there(started: Path, tmp_path: Path) -> None:
    """Whatever the stage and however little is left: one line, and every file as it was."""
    with small_disk(tmp_path / "disk") as disk:
        project = copy_of(started, disk.folder)
        for stage, left in FULL:
            with disk.left(left) as limited:
                done = run(project, *limited, "python", "-m", SLUG, stage, TMPDIR=str(disk.folder))
            assert re.search(NO_ROOM, one_line(done)), done.stderr
            assert works(run(project, "git", "status", "--porcelain")) == ""
            assert not list(project.rglob("*.partial"))
        assert "up to date" in works(run(project, "dvc", "status"))


@pytest.mark.parametrize(
    "left",
    [300_000, *(pytest.param(left, marks=pytest.mark.slow) for left in (0, 50_000, 700_000, 1_000_000, 1_500_000))],
)
def test_a_pipeline_on_a_full_disk_ends_right_once_there_is_room(
    started: Path, changed: tuple[Path, str], tmp_path: Path, left: int
) -> None:
    """It stops, wherever; with room again, `dvc repro` ends in the lock that a disk with room gives."""
    with small_disk(tmp_path / "disk") as disk:
        project = copy_of(started, disk.folder)
        set_param(project, "train.arguments.max_iter", 90)
        with disk.left(left) as limited:
            assert run(project, *limited, "dvc", "repro").returncode != 0
        works(run(project, "dvc", "repro"))
        assert (project / "dvc.lock").read_bytes() == (changed[0] / "dvc.lock").read_bytes()
        assert digest(project) == digest(changed[0])


def registered(project: Path) -> dict[str, object]:
    """Return what each alias of a project's own store points to, and its versions."""
    with closing(sqlite3.connect(project / ".mlflow/mlflow.db")) as store:
        versions = store.execute("select version from model_versions order by version").fetchall()
        return {**dict(store.execute("select alias, version from registered_model_aliases")), "versions": versions}


def test_a_promotion_on_a_full_disk_moves_nothing(changed: tuple[Path, str], tmp_path: Path) -> None:
    """However little is left: one line, the same champion; with room again it is promoted."""
    with small_disk(tmp_path / "disk") as disk:
        project = copy_of(changed[0], disk.folder)
        before = registered(project)
        for left in (0, 80_000, 200_000, 500_000):
            with disk.left(left) as limited:
                done = run(project, *limited, "python", "-m", SLUG, "promote", "--reset", "a test",
                           TMPDIR=str(disk.folder))  # fmt: skip
            assert re.search(NO_ROOM, one_line(done)), done.stderr
            assert registered(project) == before
        works(command(project, "promote", "--reset", "a test"))
        assert registered(project) == {"champion": 2, "challenger": 2, "previous": 1, "versions": [(1,), (2,)]}


def test_a_promotion_on_a_server_and_a_full_disk_moves_nothing(
    changed: tuple[Path, str], server: Registry, tmp_path: Path
) -> None:
    """The server has room and this disk has none for the report: found out before anything is registered."""
    with small_disk(tmp_path / "disk") as disk:
        project = copy_of(changed[0], disk.folder)
        with disk.left(0) as limited:
            done = run(project, *limited, "python", "-m", SLUG, "promote", MLFLOW_TRACKING_URI=server.url)
        assert re.search(NO_ROOM, one_line(done)), done.stderr
        assert server.aliases() == {}
        assert server.digests() == []
