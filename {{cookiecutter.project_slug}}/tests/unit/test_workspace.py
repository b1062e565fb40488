"""One stage at a time in a folder, which it finds clean, and none without its parent."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from {{ cookiecutter.project_slug }} import workspace
from {{ cookiecutter.project_slug }}.errors import InputError

ROOT = Path(workspace.__file__).parents[1]
#: A stage that says when it has the folder, and keeps it until its input ends.
HOLDS = f"""
import sys
from {workspace.__name__} import exclusive
with exclusive("train"):
    print("in", flush=True)
    sys.stdin.read()
"""
#: What ends with DVC, and says who it is and that it watches; and a DVC that runs it through a shell, or not.
STAGE = f"import os, time, {workspace.__name__} as w; w.end_with_dvc(); print(os.getpid(), flush=True); time.sleep(9)"
PARENT = f"""
import os, subprocess, sys
subprocess.Popen([*sys.argv[1:], sys.executable, "-c", {STAGE!r}], env=os.environ | VARIABLES)
sys.stdin.read()
"""
#: A shell that stays, and waits for what it runs.
SHELL = ["sh", "-c", '"$@"; true', "sh"]


def start(program: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A process of ours in a folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        text=True,
        **pipes,
    )


def ends(process: int) -> bool:
    """Whether a process is gone within two seconds, or waits for nobody but who should collect it."""
    until = time.monotonic() + 2
    with contextlib.suppress(psutil.NoSuchProcess):
        while psutil.Process(process).status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
    return True


def test_a_second_stage_says_whom_it_waits_for_and_starts_when_that_one_is_done(tmp_path):
    first = start(HOLDS, tmp_path)
    assert first.stdout.readline() == "in\n"
    second = start(HOLDS.replace("train", "split"), tmp_path)
    said = f"split: waiting for train (process {first.pid}), which is at work in this folder\n"
    assert second.stderr.readline() == said
    first.communicate()
    out, err = second.communicate()
    assert (first.returncode, second.returncode, out, err) == (0, 0, "in\n", "")


def test_a_killed_stage_holds_nothing_back(tmp_path):
    first = start(HOLDS, tmp_path)
    assert first.stdout.readline() == "in\n"
    first.kill()
    first.communicate()
    out, err = start(HOLDS, tmp_path).communicate()
    assert (out, err) == ("in\n", "")


def test_a_holder_that_has_not_said_its_name_is_another_stage(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert workspace.holder() == "another stage"
    workspace.HOLDER.parent.mkdir(parents=True)
    workspace.HOLDER.write_text("")
    assert workspace.holder() == "another stage"


def test_only_what_dead_processes_left_is_cleared(tmp_path, monkeypatch):
    """What another process writes at this moment stays, and so does every file that is not temporary."""
    monkeypatch.chdir(tmp_path)
    dead = start("", tmp_path)
    dead.communicate()
    left = ["data/.raw.parquet.{}.partial", "reports/plots/.roc.csv.{}.partial", "model/.model.skops.{}.partial"]
    kept = [f"reports/.promotion.json.{os.getpid()}.partial", "data/raw.parquet", "other/.a.{}.partial"]
    for name in [*left, *kept]:
        path = Path(name.format(dead.pid))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    Path("data/.no.number.partial").write_text("half")
    with workspace.exclusive("ingest"):
        found = {path.as_posix() for path in Path().glob("[dmor]*/**/*.*")}
    assert found == {name.format(dead.pid) for name in kept}


def test_a_folder_that_cannot_be_locked_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(".dvc").write_text("a file")
    with pytest.raises(InputError, match="cannot write .*lock: .*; check the folder"), workspace.exclusive("train"):
        pass


def test_what_the_stage_raises_passes_and_frees_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        with pytest.raises(FileNotFoundError), workspace.exclusive("train"):
            raise FileNotFoundError


@pytest.mark.parametrize("shell", [[], SHELL])
@pytest.mark.parametrize(("variables", "gone"), [({"DVC_STAGE": "train"}, True), ({}, False)])
def test_a_stage_of_dvc_ends_with_it_and_one_run_by_hand_does_not(tmp_path, monkeypatch, variables, gone, shell):
    monkeypatch.delenv("DVC_STAGE", raising=False)
    parent = start(PARENT.replace("VARIABLES", repr(variables)), tmp_path, *shell)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert ends(child) == gone
    if not gone:
        os.kill(child, 9)


def test_a_parent_that_may_not_be_read_is_taken_for_dvc(monkeypatch):
    def hidden(process: psutil.Process) -> dict[str, str]:
        raise psutil.AccessDenied(process.pid)

    watched = []
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setattr(psutil.Process, "environ", hidden)
    monkeypatch.setattr(workspace, "end_with", watched.append)
    workspace.end_with_dvc()
    assert watched == [os.getppid()]
