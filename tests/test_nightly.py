"""The template's nightly workflow, run by act: a red night is told of once, a green one not at all."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from acting import Ran, act, calls
from asking import Api
from baking import commit


@pytest.fixture
def repository(template: Path, tmp_path: Path) -> Path:
    """Return the template as a repository."""
    copy = Path(shutil.copytree(template, tmp_path / "repository"))
    commit(copy, tmp_path)
    return copy


def night(repository: Path, home: Path, tests: str) -> Ran:
    """Let act run the workflow with `tests` in the place of all tests, and nothing installed."""
    path = repository / ".github" / "workflows" / "nightly.yml"
    text = path.read_text(encoding="utf-8")
    quick = re.sub(r"run: .*nox -s test$", f"run: {tests}", text, flags=re.MULTILINE)
    quick = re.sub(
        r"run: (python3|.tools).*$|sudo .*$", lambda found: "run: true" if found[1] else "true", quick, flags=re.M
    )
    path.write_text(quick, encoding="utf-8")
    ran = act(repository, home, "schedule", None, "--workflows", str(path))
    path.write_text(text, encoding="utf-8")
    return ran


def test_a_red_night_opens_one_issue_and_the_next_adds_a_line(repository: Path, tmp_path: Path, api: Api) -> None:
    """Nobody reads a list of red runs, nor thirty issues that say the same."""
    ran = night(repository, tmp_path / "first", "false")
    assert ran.jobs == {"newest": "failure", "tell": "success"}, ran.red
    shutil.copytree(tmp_path / "first" / "gh", tmp_path / "second" / "gh")
    assert night(repository, tmp_path / "second", "false").jobs["tell"] == "success"
    made = calls(tmp_path / "second")
    assert [fault for call in made for fault in api.faults(call)] == []
    posted = [(call["path"].split("/", 3)[3], call["body"]) for call in made if call["method"] == "POST"]
    assert [path for path, _ in posted] == ["issues", "issues/1000/comments"]
    assert posted[0][1]["labels"] == ["nightly"]
    assert "/actions/runs/" in posted[1][1]["body"]


def test_a_green_night_is_silent(repository: Path, tmp_path: Path) -> None:
    """There is nothing to tell."""
    ran = night(repository, tmp_path / "home", "true")
    assert ran.jobs["newest"] == "success", ran.red
    assert calls(tmp_path / "home") == []
