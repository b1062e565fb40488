"""The workflow of a fresh project, run by act on this machine: no network for actions, no secret, no account."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from acting import act, undeclared, workflows
from baking import commit, git
from conftest import Bake

CI = Path(".github") / "workflows" / "ci.yml"
ONE_PYTHON = ("--workflows", str(CI), "--matrix", "python:3.11")


@pytest.fixture
def pushed(bake: Bake, tmp_path: Path) -> Path:
    """Return what a first push of a fresh project holds: a clone, without anything that git ignores."""
    project = bake(tmp_path / "bake")
    commit(project, tmp_path)
    git("clone", "--quiet", str(project), str(tmp_path / "pushed" / project.name), cwd=tmp_path, home=tmp_path)
    return tmp_path / "pushed" / project.name


def test_the_doubles_know_what_the_workflows_ask_of_them(project: Path) -> None:
    """An input that a double ignores would be one whose absence nobody sees."""
    assert undeclared(project) == set()


def test_a_fresh_project_is_green(pushed: Path, tmp_path: Path) -> None:
    """Every job ran and succeeded, on the lowest Python; of the called workflow act names the jobs.

    Started by hand, there is nobody to read a comment.
    """
    ran = act(pushed, tmp_path / "home", "workflow_dispatch", None, *ONE_PYTHON)
    jobs = workflows(pushed)["workflows/ci.yml"]["jobs"].keys() - {"train"} | {"model"}
    assert {job for job, result in ran.jobs.items() if result == "success"} - {"train"} == jobs, ran.red
    # The session itself is red when a gate or guard has no fault, or another gate closes.
    closed = re.search(r"(\d+) of (\d+) faults closed by the gate that must close", ran.said["faults"])
    assert closed, ran.said["faults"]
    assert int(closed[1]) == int(closed[2]) > 70
    assert "left out" not in ran.said["faults"]
    assert "All 18 gates passed" in ran.summary


@pytest.mark.slow
def test_the_highest_python_passes_the_unit_tests(pushed: Path, tmp_path: Path) -> None:
    """What the lock resolves for later Pythons works there."""
    chosen = ("--workflows", str(CI), "--job", "unit", "--matrix", "python:3.13")
    ran = act(pushed, tmp_path / "home", "workflow_dispatch", None, *chosen)
    assert ran.jobs["unit"] == "success", ran.red
    assert "python 3.13" in ran.said["unit"].lower()


def test_one_red_job_is_a_red_check(pushed: Path, tmp_path: Path) -> None:
    """A planted lint error turns lint red, and `pass` with it; the other jobs are emptied to save their time."""
    text = (pushed / CI).read_text(encoding="utf-8")
    emptied = re.sub(r"run: .*nox -s (?!lint$).*$", "run: true", text, flags=re.MULTILINE)
    (pushed / CI).write_text(emptied, encoding="utf-8")
    job = {"runs-on": "ubuntu-latest", "steps": [{"run": "true"}]}
    (pushed / CI).with_name("train.yml").write_text(yaml.safe_dump({"on": "workflow_call", "jobs": {"model": job}}))
    with (pushed / pushed.name / "errors.py").open("a", encoding="utf-8") as module:
        module.write("print(unheard_of)\n")
    commit(pushed, tmp_path)
    ran = act(pushed, tmp_path / "home", "workflow_dispatch", None, *ONE_PYTHON)
    assert {job for job, result in ran.jobs.items() if result == "failure"} == {"lint", "pass"}, ran.red
    assert "unheard_of" in ran.red
