"""A day that changed since the last green version is found; a day that only one version has is not compared."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.project_slug }} import git
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import history

DAYS = {"2024-01-30": "2 aa", "2024-01-31": "3 bb", "2024-02-01": "4 cc"}


def report(days: dict[str, str] | None = None, start: str = "None", end: str = "None", covered: str = "x") -> Any:
    """What ingest writes."""
    return {"start": start, "end": end, "covered": covered, "days": DAYS if days is None else days}


BOUNDED = {"start": "2024-01-30 00:00:00", "end": "2024-02-02 00:00:00"}


def test_equal_days_are_no_change() -> None:
    """Nor are days that one version alone covers."""
    assert history.changed(report(), report(), []) == []
    later = report({"2024-02-01": "4 cc", "2024-02-02": "1 dd"}, "2024-02-01 00:00:00", "2024-03-01 00:00:00")
    assert history.changed(report(**BOUNDED), later, []) == []


def test_a_changed_a_lost_and_a_new_day_are_named_in_order() -> None:
    """Inside both windows; rows without a time belong to no day."""
    now = {"2024-02-01": "4 ce", "2024-01-31": "3 bb", "no time": "7 ff"}
    assert history.changed(report(**BOUNDED), report(now, **BOUNDED), []) == ["2024-01-30", "2024-02-01"]
    assert history.changed(report(now, **BOUNDED), report(**BOUNDED), []) == ["2024-01-30", "2024-02-01"]
    assert history.changed(report({}, **BOUNDED), report({"no time": "1 a"}, **BOUNDED), []) == []


def test_accepted_days_and_months_are_left_out() -> None:
    """By day or by month, not by anything shorter."""
    now = report({day: entry + "0" for day, entry in DAYS.items()}, **BOUNDED)
    before = report(**BOUNDED)
    assert history.changed(before, now, ["2024-01-31"]) == ["2024-01-30", "2024-02-01"]
    assert history.changed(before, now, ["2024-01"]) == ["2024-02-01"]
    assert history.changed(before, now, ["2024"]) == sorted(DAYS)


def test_other_columns_cannot_be_compared() -> None:
    """Their hashes say nothing about the rows."""
    assert history.changed(report(**BOUNDED), report({"2024-01-30": "9 z"}, **BOUNDED, covered="y"), []) == []


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2024-01-30 00:00:00", "2024-02-02 00:00:00", ["2024-01-30", "2024-01-31", "2024-02-01"]),
        ("2024-01-30 06:00:00", "2024-02-01 12:00:00", ["2024-01-31"]),
        ("2024-01-31 00:00:00", "2024-02-01 00:00:00", ["2024-01-31"]),
        ("None", "2024-02-02 00:00:00", ["2024-01-30", "2024-01-31", "2024-02-01"]),
        ("None", "None", ["2024-01-30", "2024-01-31"]),
    ],
)
def test_only_days_whole_in_the_window_count(start: str, end: str, expected: list[str]) -> None:
    """A bound cuts its day; the last day of an open end may still grow."""
    days = ["2024-01-29", *DAYS, "2024-02-02"]
    assert [day for day in days if history.whole(report({**DAYS, "no time": "1 a"}, start, end), day)] == expected


def test_a_report_without_days_covers_no_open_window() -> None:
    """There is no first day, nor a last one."""
    assert not history.whole(report({"no time": "1 a"}), "2024-01-30")


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Commit a verdict and days (None: no such file) in a project that is a folder of its repository."""
    project = tmp_path / "team" / "project"
    (project / "reports").mkdir(parents=True)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(project)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)

    def make(verdict: Any, days: Any) -> str:
        for name, content in ((history.VERDICT, verdict), (history.DAYS, days)):
            if content is None:
                Path(name).unlink(missing_ok=True)
            else:
                Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
        call = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run([*call, "add", "-A"], check=True)
        subprocess.run([*call, "commit", "-qm", "work", "--allow-empty", "--no-verify"], check=True)
        return git.git("rev-parse", "HEAD")

    return make


def test_the_last_green_version_is_found(commit: Callable[..., str]) -> None:
    """From a folder of the repository, past red, unreadable and missing reports, and past those from before days."""
    assert history.previous() is None
    commit({"verdict": "fail"}, report())
    assert history.previous() is None
    commit({"verdict": "pass", "n": 1}, report({"2024-01-01": "1 a"}))
    assert history.previous() == report({"2024-01-01": "1 a"})
    commit({"verdict": "pass", "n": 2}, report())
    commit({"verdict": "pass", "n": 3}, {"rows": 3})
    commit({"verdict": "pass", "n": 4}, report({}))
    commit({"verdict": "pass", "n": 5}, "<<<<<<<")
    commit({"verdict": "pass", "n": 6}, "[]")
    commit({"n": 7}, report({"2024-01-01": "1 b"}))
    commit({"verdict": "fail"}, report({"2024-01-01": "1 b"}))
    commit({"verdict": "pass", "n": 8}, None)
    commit(None, report({"2024-01-01": "1 b"}))
    assert history.previous() == report()


def test_commits_are_looked_through_newest_first_and_not_for_ever(
    commit: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only those that changed the first file."""
    for n in range(3):
        commit(str(n), "days")
    commit("2", "other days")
    assert list(git.committed(history.VERDICT, history.DAYS)) == [("2", "days"), ("1", "days"), ("0", "days")]
    monkeypatch.setattr(git, "COMMITS", 2)
    assert list(git.committed(history.VERDICT)) == [("2",), ("1",)]


def test_without_a_repository_there_is_no_earlier_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository that git cannot read is another matter."""
    monkeypatch.chdir(tmp_path)
    assert not git.repository()
    assert history.previous() is None
    (tmp_path / ".git").mkdir()
    assert git.repository()
    with pytest.raises(InputError, match="git rev-list failed: "):
        history.previous()
