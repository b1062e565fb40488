"""The scratch clone: what its commands say, which gates closed, and that no process is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from {{ cookiecutter.project_slug }} import config
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.git import git
from {{ cookiecutter.project_slug }}.loop import scratch
from {{ cookiecutter.project_slug }}.registry import reproduce, tracking

#: Stands in for DVC: writes the reports that its own text says, and ends as that says.
DVC = """
import json, pathlib, sys, time
for name, verdict in GATES.items():
    gates = [dict(gate=name + " gate", verdict=verdict, reason="because")]
    pathlib.Path("reports", name + ".json").write_text(json.dumps(dict(gates=gates)))
pathlib.Path("reports/split.json").write_text("null")
time.sleep(SECONDS)
print("first", "last", sep="\\n")
sys.exit(CODE)
"""


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> scratch.Clone:
    """A folder below `.loop` of the working directory, with a `reports`."""
    monkeypatch.chdir(tmp_path)
    folder = scratch.HOME.resolve() / "clone"
    (folder / "reports").mkdir(parents=True)
    return scratch.Clone(folder)


def dvc(clone: scratch.Clone, code: int = 0, seconds: float = 0, **gates: str) -> None:
    """Put a stand-in for DVC into the clone."""
    settings = f"GATES, SECONDS, CODE = {gates!r}, {seconds}, {code}\n"
    (clone.folder / "dvc.py").write_text(settings + DVC)


def test_a_command_says_how_it_ended_and_its_last_line(clone: scratch.Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVE_TOKEN", "secret")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    (clone.folder / f"{tracking.NAME}.py").write_text(
        "import os, sys\nprint(*sys.argv[1:], *{'SERVE_TOKEN', 'MLFLOW_TRACKING_URI'} & set(os.environ))\nsys.exit(3)"
    )
    assert clone.command("monitor", "--until", "x") == scratch.Done(3, "monitor --until x")
    (clone.folder / "quiet.py").write_text("")
    assert clone.run("quiet") == scratch.Done(0, "no reason given")
    assert list(scratch.CHILDREN.iterdir()) == []


def test_repro_names_the_gates_that_closed_now_and_none_of_an_earlier_window(clone: scratch.Clone) -> None:
    dvc(clone, code=1, pretrain="pass", posttrain="fail")
    assert clone.repro() == (["posttrain gate"], "posttrain gate: because")
    dvc(clone, code=1, validate="pass")  # the red report is still there
    with pytest.raises(InputError, match=r"`dvc repro` failed: last"):
        clone.repro()
    dvc(clone, posttrain="pass")
    assert clone.repro() == ([], "")


def test_a_run_is_killed_midway_with_all_that_it_started(clone: scratch.Clone) -> None:
    dvc(clone, seconds=60, pretrain="pass")
    began = time.monotonic()
    assert clone.repro(kill=True) == (["repro"], "`dvc repro` was killed")
    assert time.monotonic() - began < 30


def test_what_a_killed_walk_left_is_killed_and_nothing_else(clone: scratch.Clone, tmp_path: Path) -> None:
    line = [sys.executable, "-c", "import time; time.sleep(60)"]
    left = subprocess.Popen(line, cwd=clone.folder, start_new_session=True)
    other = subprocess.Popen(line, cwd=tmp_path, start_new_session=True)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    scratch.CHILDREN.mkdir()
    for process in (left, other, gone):
        (scratch.CHILDREN / str(process.pid)).touch()
    try:
        scratch.end_left()
        assert not psutil.pid_exists(left.pid)
        assert other.poll() is None
        assert list(scratch.CHILDREN.iterdir()) == []
    finally:
        other.kill()
        other.wait()


def test_a_context_ends_its_process_even_one_that_does_not_listen(
    clone: scratch.Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "PATIENCE", 0.5)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    (clone.folder / "deaf.py").write_text(deaf)
    said = scratch.SAID
    with clone.started(said, "deaf") as process:
        assert list(scratch.CHILDREN.iterdir()) == [scratch.CHILDREN / str(process.pid)]
        while not said.read_text():
            time.sleep(0.02)
    assert process.returncode == -signal.SIGKILL
    assert not psutil.pid_exists(process.pid)


def test_parameters_change_and_comments_stay(clone: scratch.Clone) -> None:
    path = clone.folder / config.PATH
    path.write_text('seed: 1  # a seed\ningest:\n  end: "2013-09-01"   # a window\n  source: a.csv\n')
    clone.set_params(ingest__end="2013-10-01", seed=2)
    assert path.read_text() == 'seed: 2  # a seed\ningest:\n  end: "2013-10-01"   # a window\n  source: a.csv\n'


def test_a_report_is_read_if_it_is_there(clone: scratch.Clone) -> None:
    assert clone.read("monitor") is None
    (clone.folder / "reports/monitor.json").write_text('{"decision": "watch"}')
    assert clone.read("monitor") == {"decision": "watch"}


def test_a_clone_is_new_shares_the_cache_and_commits_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an earlier walk left is gone but for the lock; reports and dvc.lock come along; an author is not needed."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name, raising=False)
    here = tmp_path / "here"
    (here / "reports").mkdir(parents=True)
    monkeypatch.chdir(here)
    for name, value in (("GIT_CONFIG_GLOBAL", os.devnull), ("GIT_CONFIG_NOSYSTEM", "1"), ("HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)
    Path("kept.txt").write_text("1")
    git("init", "-q")
    git("add", "-A")
    git(*scratch.AUTHOR, "commit", "-qm", "first")
    for name in ("dvc.lock", "reports/evaluate.json", "reports/monitor.json"):
        Path(name).write_text(name)
    (scratch.HOME / "old").mkdir(parents=True)
    for name in ("lock", "state.json"):
        (scratch.HOME / name).touch()
    shared: list[Path] = []
    monkeypatch.setattr(reproduce, "share_storage", shared.append)
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(scratch.Clone, "run", lambda self, *command: ran.append(command))
    clone = scratch.make(git("rev-parse", "HEAD"))
    assert scratch.found() == clone
    assert shared == [clone.folder]
    assert ran == [("dvc", "checkout", "--quiet")]
    assert sorted(path.name for path in scratch.HOME.iterdir()) == ["clone", "lock"]
    assert (clone.folder / "reports/evaluate.json").read_text() == "reports/evaluate.json"
    assert not (clone.folder / "reports/monitor.json").exists()
    before = git("rev-parse", "HEAD", folder=clone.folder)
    clone.commit("Add the reports")
    after = git("rev-parse", "HEAD", folder=clone.folder)
    assert (before != after, git("log", "-1", "--format=%an %s", folder=clone.folder)) == (True, "loop Add the reports")
    clone.commit("Nothing")
    assert git("rev-parse", "HEAD", folder=clone.folder) == after
    assert git("rev-parse", "HEAD") == before
