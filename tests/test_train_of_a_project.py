"""What a pull request gets from `train`, run by act: a verdict, a report, one comment; a fork no right to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from acting import Ran, act, calls
from asking import Api
from baking import commit, git
from running import set_param

MARK = "<!-- the report of train.yml -->\n"
REPOSITORY, BOT = "team/project", "github-actions[bot]"


@pytest.fixture
def branch(started: Path, tmp_path: Path) -> Path:
    """Return a clone of a project whose first run is committed, for a change to be made in."""
    git("clone", "--quiet", str(started), str(tmp_path / "branch" / started.name), cwd=tmp_path, home=tmp_path)
    return tmp_path / "branch" / started.name


def request(project: Path, home: Path, source: str = REPOSITORY, author: str = "someone") -> Ran:
    """Commit what was changed and let act run the training that a pull request with it starts."""
    home.mkdir(exist_ok=True)
    base = git("rev-parse", "HEAD", cwd=project, home=home).decode().strip()
    commit(project, home)
    head = {"repo": {"full_name": source}, "ref": "change", "sha": "0" * 40}
    pull = {"number": 7, "head": head, "base": {"sha": base, "ref": "main"}, "user": {"login": author}}
    payload: dict[str, Any] = {"pull_request": pull, "number": 7, "repository": {"full_name": REPOSITORY}}
    ci = (".github/workflows/ci.yml", "--job", "train", "--env", f"GITHUB_REPOSITORY={REPOSITORY}")
    return act(project, home, "pull_request", payload, "--workflows", *ci)


def comments_in(home: Path) -> list[str]:
    """Return the comments as they stand."""
    found = json.loads((home / "gh" / "comments.json").read_text(encoding="utf-8"))
    return [str(comment["body"]) for comment in found]


def test_a_closed_gate_is_a_red_job_and_changes_the_one_comment(branch: Path, tmp_path: Path, api: Api) -> None:
    """The comment that is there is written anew, and not another that only looks like it."""
    comments = [{"id": 1, "user": {"login": "someone"}, "body": f"{MARK}mine"},
                {"id": 2, "user": {"login": BOT}, "body": "of another workflow"},
                {"id": 3, "user": {"login": BOT}, "body": f"{MARK}## ✅"}]  # fmt: skip
    (tmp_path / "home" / "gh").mkdir(parents=True)
    (tmp_path / "home" / "gh" / "comments.json").write_text(json.dumps(comments), encoding="utf-8")
    set_param(branch, "gates.pretrain.quarantine.max_rate", -1)
    ran = request(branch, tmp_path / "home")
    assert (ran.jobs["model"], ran.jobs["comment"]) == ("failure", "success"), ran.red
    *others, body = comments_in(tmp_path / "home")
    assert others == [f"{MARK}mine", "of another workflow"]
    assert body.startswith(f"{MARK}## ❌ 1 of 9 gates closed: quarantine")
    assert body.removeprefix(MARK).strip() in ran.summary
    made = calls(tmp_path / "home")
    assert [(call["method"], call["path"].partition("?")[0]) for call in made] == [
        ("GET", f"repos/{REPOSITORY}/issues/7/comments"), ("PATCH", f"repos/{REPOSITORY}/issues/comments/3"),
    ]  # fmt: skip
    assert [fault for call in made for fault in api.faults(call)] == []


@pytest.mark.slow
def test_a_change_is_trained_reported_and_commented_on(branch: Path, tmp_path: Path, api: Api) -> None:
    """The report says what changed against the run that was committed at the base."""
    set_param(branch, "train.arguments.max_iter", 60)
    ran = request(branch, tmp_path / "home")
    assert ran.jobs["model"] == ran.jobs["comment"] == "success", ran.red
    (body,) = comments_in(tmp_path / "home")
    assert body.startswith(f"{MARK}## ✅ All 18 gates passed")
    assert "| params.yaml | train.arguments.max_iter | 100 | 60 |" in body
    assert "| brier (primary) | 0.1759 (" in body
    assert body.removeprefix(MARK).strip() in ran.summary
    made = calls(tmp_path / "home")
    assert [call["method"] for call in made] == ["GET", "POST"]
    assert [fault for call in made for fault in api.faults(call)] == []


def test_a_call_that_github_does_not_know_is_named(api: Api) -> None:
    """The description sees a wrong path, method, query, and body."""
    path = "repos/team/project/issues/7/comments"
    good = {"method": "POST", "path": path, "body": {"body": "text"}}
    assert api.faults(good) == []
    assert api.faults(good | {"path": "repos/team/project/issue/7/comments"}) != []
    assert api.faults(good | {"method": "PUT"}) != []
    assert api.faults(good | {"body": {"text": "text"}}) != []
    assert api.faults(good | {"body": {"body": ["text"]}}) != []
    assert api.faults({"method": "GET", "path": f"{path}?pages=2", "body": {}}) == ["no such parameter: pages"]
    assert api.faults({"method": "GET", "path": f"{path}?per_page=100", "body": {}}) == []


@pytest.mark.parametrize(
    ("source", "author"),
    [("stranger/project", "someone"), pytest.param(REPOSITORY, "dependabot[bot]", marks=pytest.mark.slow)],
)
def test_a_fork_gets_a_report_and_nothing_else(branch: Path, tmp_path: Path, source: str, author: str) -> None:
    """Its run has no right to write, and neither has Dependabot's; the summary says what a comment would."""
    set_param(branch, "gates.pretrain.quarantine.max_rate", -1)
    ran = request(branch, tmp_path / "home", source, author)
    assert ran.jobs["model"] == "failure"
    assert "## ❌ 1 of 9 gates closed" in ran.summary
    assert calls(tmp_path / "home") == []


def test_only_texts_changed_trains_nothing(branch: Path, tmp_path: Path) -> None:
    """A change of documents costs no training, and gets no comment."""
    with (branch / "docs" / "runbook.md").open("a", encoding="utf-8") as text:
        text.write("\nMore.\n")
    ran = request(branch, tmp_path / "home")
    assert ran.jobs["model"] == "success", ran.red
    assert "nothing to train" in ran.summary
    assert calls(tmp_path / "home") == []
