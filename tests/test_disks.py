"""A disk that cannot be written and a disk that is full: what can be read is read, and nothing is left by half."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from disks import read_only, small_disk
from killing import repro, rows
from running import SLUG, champion_loads, command, copy_of, digest, forget, one_line, run, set_param, works
from stores import Registry

#: A stage and the bytes that it meets: it fails at its first output, at a later one, or in what its gates found.
FULL = [("ingest", 100_000), ("validate", 20_000), ("pretrain", 8192), ("train", 100_000), ("evaluate", 0)]
NO_ROOM = "No space left|disk is full|disk full|File too large"


def test_the_champion_loads_from_a_disk_that_cannot_be_written(copy: Path, started: Path, tmp_path: Path) -> None:
    """Mounted read-only elsewhere: reading works, and what would write says in one line that it cannot."""
    forget(copy)
    with read_only(copy, tmp_path / "elsewhere") as there:
        champion_loads(there, started)
        for name in ("register", "promote", "rollback", "ingest"):
            assert "cannot write" in one_line(command(there, name))


def test_a_stage_on_a_full_disk_leaves_what_was_there(started: Path, tmp_path: Path) -> None:
    """Whatever the stage and however little is left: one line, and every file as it was."""
    with small_disk(tmp_path / "disk") as disk:
        project = copy_of(started, disk.folder)
        before = works(run(project, "git", "status", "--porcelain"))
        for stage, left in FULL:
            with disk.left(left) as limited:
                done = run(project, *limited, "python", "-m", SLUG, stage, TMPDIR=str(disk.folder))
            assert re.match(rf"{stage}: (cannot write|the gates' findings).*({NO_ROOM})", one_line(done)), done.stderr
            assert works(run(project, "git", "status", "--porcelain")) == before
            assert not list(project.rglob("*.partial"))
        assert "up to date" in works(run(project, "dvc", "status"))


@pytest.mark.parametrize(
    ("left", "last"),
    [
        (300_000, "train"),
        *(
            pytest.param(left, "posttrain", marks=pytest.mark.slow)
            for left in (0, 50_000, 150_000, 300_000, 500_000, 700_000)
        ),
    ],
)
def test_a_pipeline_on_a_full_disk_ends_right_once_there_is_room(
    started: Path, changed: tuple[Path, str], tmp_path: Path, left: int, last: str
) -> None:
    """It stops, wherever; with room again, `dvc repro` ends in the lock that a disk with room gives.

    Where the disk kept DVC from writing a file of its own to the end, the runbook's step comes first.
    """
    with small_disk(tmp_path / "disk") as disk:
        project = copy_of(started, disk.folder)
        set_param(project, "train.arguments.max_iter", 90)
        with disk.left(left) as limited:
            assert run(project, *limited, "dvc", "repro", last).returncode != 0
        repro(project, last)
        found, expected = (yaml.safe_load((one / "dvc.lock").read_text()) for one in (project, changed[0]))
        assert found["stages"][last] == expected["stages"][last]
        assert digest(project) == digest(changed[0])


def registered(project: Path) -> dict[str, object]:
    """Return what each alias of a project's own store points to, and its versions."""
    store = project / ".mlflow/mlflow.db"
    versions = rows(store, "select version from model_versions order by version")
    return {**dict(rows(store, "select alias, version from registered_model_aliases")), "versions": versions}


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
