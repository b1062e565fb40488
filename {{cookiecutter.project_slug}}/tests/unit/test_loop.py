"""The command `loop`: what it refuses, how it begins and goes on, and what it reports."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from {{ cookiecutter.project_slug }} import __main__ as command
from {{ cookiecutter.project_slug }} import config, record, schema
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.loop import loop, page, scratch, server, table, walk

from . import small_project, small_walk

PROMOTED = {"decision": "promoted", "gates": [], "reason": "first", "challenger": {"digest": "one"}}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> small_project.Project:
    """A committed project whose source is a file that `ingest` depends on, and whose clone only answers."""
    made = small_project.make(tmp_path / "project", monkeypatch, crowned=False)
    small_walk.ROWS.to_csv("rows.csv", index=False)
    Path("dvc.yaml").write_text("stages: {ingest: {deps: [rows.csv]}}\n")
    Path(".gitignore").write_text(Path(".gitignore").read_text() + "/.loop/\n")
    made.commit()

    def clone(commit: str) -> small_walk.Recorded:
        for left in scratch.HOME.glob("*/"):
            shutil.rmtree(left)
        folder = scratch.HOME / "clone"
        (folder / "data").mkdir(parents=True)
        (folder / ".mlflow/artifacts").mkdir(parents=True)
        (folder / ".mlflow/artifacts/model.skops").touch()
        new = small_walk.Recorded(folder)
        new.reports["promotion"] = PROMOTED
        return new

    monkeypatch.setattr(scratch, "make", clone)
    monkeypatch.setattr(scratch, "found", lambda: small_walk.Recorded(scratch.HOME / "clone"))
    return made


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> small_walk.Answers:
    """A server that answers, and a monitor that watches."""
    answers = small_walk.Answers()

    @contextmanager
    def served(clone: Any, digest: str) -> Any:
        answers.followed.append(digest)
        yield answers

    monkeypatch.setattr(server, "served", served)
    monkeypatch.setattr(
        walk.Walk, "monitor", lambda self, index: small_walk.seen(self.served[index], "retrain" if index else "watch")
    )
    return answers


def test_a_walk_goes_through_every_month_and_reports(
    project: small_project.Project, asking: small_walk.Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    assert loop.main(False, False) == 0
    found = record.read_json(page.REPORT)
    assert [(m["month"], m["decision"], m["outcome"]) for m in found["months"]] == [
        ("2020-04", "watch", "none"), ("2020-05", "retrain", "refused"), ("2020-06", "retrain", "refused"),
        ("2020-07", "retrain", "none"),
    ]  # fmt: skip
    assert (found["mode"], found["faults"], found["metric"], found["struck"]) == ("full", False, "brier", [])
    assert sum(month["rows"] for month in found["months"]) == len(
        small_walk.ROWS[small_walk.ROWS["when"] >= "2020-04-01"]
    )
    assert "named" not in found["months"][0]
    assert found["totals"]["gated"]["loss"] == 0.25**2 * 0.5 + 0.75**2 * 0.5 or found["totals"]["gated"]["loss"] > 0.2
    assert {one["gated_against"] for one in found["comparisons"]} == {"always", "frozen"}
    assert found["staleness"]["curve"][0]["excess"] == 0
    assert (asking.followed[0], [len(rows) for rows in asking.rows]) == ("one", [600, 620, 600, 360])
    out = capsys.readouterr().out
    assert "2020-05: 620 rows; retrain, refused\n" in out
    assert "Gated against always" in out
    kept = yaml.safe_load(Path("params.yaml").read_text())
    assert kept["ingest"]["end"] is None


def test_a_walk_that_was_stopped_goes_on_and_a_changed_project_starts_anew(
    project: small_project.Project, asking: small_walk.Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = walk.Walk.month
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk.Walk, "month", lambda self, i, s: stop(self, i, s) if i < 2 else 1 / 0)
        with pytest.raises(ZeroDivisionError):
            loop.main(False, False)
    assert len(record.read_json(walk.STATE)["months"]) == 2
    assert loop.main(False, False) == 0
    assert "going on after 2 of 4 months" in capsys.readouterr().out
    assert [len(rows) for rows in asking.rows] == [600, 620, 600, 360]
    project.set("seed", 2)
    project.commit()
    asking.rows.clear()
    assert loop.main(False, False) == 0
    assert [len(rows) for rows in asking.rows] == [600, 620, 600, 360]


def test_a_fault_that_no_gate_names_is_an_error(
    project: small_project.Project, asking: small_walk.Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    assert loop.main(False, True) == 1
    found = record.read_json(page.REPORT)
    assert found["staleness"] is None
    assert [(one["fault"], one["month"], one["named_by"]) for one in found["struck"]] == [
        (table.SENSOR, "2020-04", []), (table.LABELS, "2020-05", []), (table.TAMPERED, "2020-06", []),
    ]  # fmt: skip
    said = capsys.readouterr()
    assert (
        said.err.splitlines()[-1]
        == f"loop: no gate named broken sensor, poisoned labels, tampered challenger: see {page.REPORT}"
    )
    assert "2020-05: 620 rows, poisoned labels; retrain, refused\n" in said.out
    assert "Tampered challenger in 2020-06: **named by no gate**." in said.out


def test_the_first_window_ends_as_its_mode_says_and_the_source_keeps_its_name_if_ingest_depends_on_it(
    project: small_project.Project, asking: small_walk.Answers
) -> None:
    project.set("ingest.end", "2020-04-01")
    project.set("serve.log.folder", "/var/log/predictions")
    project.commit()
    told: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_walk.Recorded, "set_params", lambda self, **changes: told.append(changes))
        assert loop.main(True, False) == 0
    assert told[0] == {"ingest__source": "rows.csv", "ingest__end": "2020-04-01", "serve__log__folder": "predictions"}
    assert (scratch.HOME / "clone/rows.csv").read_bytes() == Path("rows.csv").read_bytes()
    assert record.read_json(page.REPORT)["mode"] == "quick"
    Path("dvc.yaml").write_text("stages: {ingest: {deps: []}}\n")
    project.commit()
    told.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_walk.Recorded, "set_params", lambda self, **changes: told.append(changes))
        assert loop.main(False, False) == 0
        assert loop.main(False, False) == 0  # nothing is left to do
    assert told[0]["ingest__end"] == "2020-04-01"
    name = told[0]["ingest__source"]
    assert name.startswith("data/table-")
    assert len(record.read_parquet(scratch.HOME / "clone" / name)) == len(small_walk.ROWS)


def test_another_table_may_be_walked(
    project: small_project.Project, asking: small_walk.Answers, tmp_path: Path
) -> None:
    rows = small_walk.ROWS[small_walk.ROWS["when"] < "2020-06-01"]
    rows.to_parquet(tmp_path / "other.parquet", index=False)
    assert loop.main(False, False, tmp_path / "other.parquet") == 0
    assert [month["month"] for month in record.read_json(page.REPORT)["months"]] == ["2020-04", "2020-05"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("split.by", "hash", "split.by: time, and params.yaml says hash"), ("ingest.source", "gone.csv", "gone.csv")],
)
def test_what_cannot_be_walked_is_refused(project: small_project.Project, key: str, value: str, said: str) -> None:
    project.set(key, value)
    project.commit()
    with pytest.raises(InputError, match=said):
        loop.main(False, False)
    assert not page.REPORT.exists()


def test_uncommitted_parameters_are_refused(project: small_project.Project) -> None:
    project.set("seed", 3)
    with pytest.raises(InputError, match=r"params.yaml is not committed"):
        loop.main(False, False)


def test_a_first_window_without_a_champion_ends_the_walk_naming_the_gates(
    project: small_project.Project, asking: small_walk.Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_walk.Recorded, "repro", lambda self: (["behaviour"], "behaviour: too timid"))
        with pytest.raises(
            InputError, match="to 2020-04-01, gives no champion: behaviour closed: behaviour: too timid"
        ):
            loop.main(False, False)
    monkeypatch.setattr(small_walk.Recorded, "command", lambda self, *_: scratch.Done(3, "refused: parity"))
    with pytest.raises(InputError, match="the first model was not promoted: refused: parity"):
        loop.main(False, False)
    assert not walk.STATE.exists()


def test_two_walks_at_once_are_one_too_many(project: small_project.Project) -> None:
    from filelock import FileLock

    scratch.HOME.mkdir()
    with FileLock(scratch.HOME / "lock"), pytest.raises(InputError, match="another walk is at work"):
        loop.main(False, False)


def test_the_command_line_reaches_it(project: small_project.Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(loop, "main", lambda *given: asked.append(given) or 0)
    assert command.main(["loop", "--quick", "--faults"]) == 0
    assert asked == [(True, True)]


def test_a_stuck_sensor_reaches_the_server(project: small_project.Project, asking: small_walk.Answers) -> None:
    loop.main(False, True)
    assert min(rows[name].nunique() for name in ("x", "z") for rows in asking.rows[:1]) == 1
    assert min(rows[name].nunique() for name in ("x", "z") for rows in asking.rows[1:]) > 100
    assert (np.array([rows["late"].nunique() for rows in asking.rows]) == 2).all()
    assert subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=True).stdout == ""
    assert (config.load().seed, schema.load().target) == (1, "late")
