"""A month of the walk: served once, monitored, retrained where it is asked for, and each fault named by its gate."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.loop import scratch, table, walk
from {{ cookiecutter.project_slug }}.serving import parts

from . import small_walk

PROMOTED = {"decision": "promoted", "gates": [], "reason": "every test passed", "challenger": {"digest": "new"}}
REGISTERED = b"as it was registered"
REFUSED = {"decision": "refused", "gates": ["anchor"], "reason": "worse", "challenger": {"digest": "new"}}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with an empty `.loop`."""
    monkeypatch.chdir(tmp_path)
    (scratch.HOME / "clone").mkdir(parents=True)
    return scratch.HOME / "clone"


def month(one: walk.Walk, index: int, found: dict[str, Any], promotion: dict[str, Any] = PROMOTED) -> dict[str, Any]:
    """Walk one month in which the monitor and `promote` say this."""
    assert isinstance(one.clone, small_walk.Recorded)
    one.clone.reports.update(monitor=found, promotion=promotion)
    one.clone.codes["monitor"] = 3
    one.done.append(one.month(index, small_walk.Answers()))
    return one.done[-1]


def registered(here: Path) -> Path:
    """The one model in the registry's store."""
    model = here / ".mlflow/artifacts/run/artifacts/model_1/model.skops"
    model.parent.mkdir(parents=True)
    model.write_bytes(REGISTERED)
    return model


def said(one: walk.Walk) -> list[tuple[Any, ...]]:
    """What the clone was told, without changes of parameters."""
    assert isinstance(one.clone, small_walk.Recorded)
    return [told for told in one.clone.said if told[0] != "set"]


def changes(one: walk.Walk) -> dict[str, Any]:
    """The parameters as they were set last."""
    assert isinstance(one.clone, small_walk.Recorded)
    return {key: value for told in one.clone.said if told[0] == "set" for key, value in told[1].items()}


def test_a_month_is_served_monitored_retrained_and_promoted(here: Path) -> None:
    one = small_walk.walk(here)
    found = month(one, 0, small_walk.seen(one.served[0], concerns=[{"gate": "age"}]))
    assert said(one) == [
        ("monitor", "--until", "2020-05-01T00:00:00"), ("repro", False), ("commit", "Move the window to 2020-05-01"),
        ("promote",),
    ]  # fmt: skip
    assert changes(one) == {"ingest__source": "rows.csv", "ingest__query": None, "ingest__end": "2020-05-01"}
    assert found == {
        "month": "2020-04", "rows": 600, "fault": None, "decision": "retrain", "outcome": "promoted", "gates": ["age"],
        "reason": "as it was found; promoted: every test passed", "struck": [], "named": {}, "digest": "new",
        "champion": "7",
    }  # fmt: skip
    assert one.champion == "new"
    scores = record.read_parquet(walk.scores_of(one.served[0]))
    assert scores.shape == (600, 1)
    one.always.close()


def test_a_refusal_keeps_the_champion_and_names_the_gates(here: Path) -> None:
    one = small_walk.walk(here)
    found = month(one, 0, small_walk.seen(one.served[0], alarms=("x",)), REFUSED)
    assert (found["outcome"], found["gates"], found["digest"]) == ("refused", ["drift", "anchor"], "first")
    assert said(one).count(("promote",)) == 1  # nothing was broken that could be mended
    assert isinstance(one.clone, small_walk.Recorded)
    one.clone.red.append("calibration")
    found = month(one, 1, small_walk.seen(one.served[1]))
    assert (found["outcome"], found["gates"]) == ("refused", ["calibration"])
    assert said(one)[-1] == ("repro", False)  # neither committed nor promoted
    one.always.close()


def test_nothing_is_trained_when_nothing_asks_and_for_no_month_after_the_last(here: Path) -> None:
    one = small_walk.walk(here, count=2)
    assert month(one, 0, small_walk.seen(one.served[0], "watch"))["outcome"] == "none"
    assert month(one, 1, small_walk.seen(one.served[1], "retrain"))["outcome"] == "none"
    assert [told[0] for told in said(one)] == ["monitor", "monitor"]
    one.always.close()


def test_a_promotion_that_a_kill_came_after_counts(here: Path) -> None:
    """`promote` says that the challenger is champion already: it became so in this month."""
    one = small_walk.walk(here)
    again = {**PROMOTED, "decision": "unchanged"}
    assert month(one, 0, small_walk.seen(one.served[0]), again)["outcome"] == "promoted"
    assert month(one, 1, small_walk.seen(one.served[1]), again)["outcome"] == "refused"  # the same model as before
    one.always.close()


def test_a_month_begun_twice_is_logged_once_and_a_served_one_not_served_again(here: Path) -> None:
    one = small_walk.walk(here)
    one.began = "2020-01-01T00:00:00+00:00"
    forgotten: list[Any] = []
    logged = pd.DataFrame({parts.ID: ["4", "5"]})
    asking = small_walk.Answers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "read", lambda folder, start, end, columns: iter([logged, logged]))
        patch.setattr(parts, "forget", lambda folder, ids, seconds: forgotten.append((folder, ids, seconds)))
        one.serve(0, asking)
        one.serve(0, asking)
    assert forgotten == [(here / "predictions", ["4", "5", "4", "5"], 0)]
    assert [len(rows) for rows in asking.rows] == [600]
    assert record.read_json(walk.STATE)["began"] > "2020-01-01"
    one.always.close()


def test_a_walk_goes_on_from_its_own_state_alone(here: Path) -> None:
    one = small_walk.walk(here)
    assert not one.load()
    month(one, 0, small_walk.seen(one.served[0]))
    one.save()
    other = small_walk.walk(here.with_name("other"))
    assert (other.load(), other.done, other.first, other.champion) == (True, one.done, "first", "new")
    changed = small_walk.walk(here.with_name("changed"))
    changed.key = "another commit"
    assert (changed.load(), changed.done) == (False, [])
    for each in (one, other, changed):
        each.always.close()


def test_a_monitor_that_already_reported_this_month_is_not_asked_again(here: Path) -> None:
    one = small_walk.walk(here)
    record.write_json(here / "reports/monitor.json", small_walk.seen(one.served[0]))
    assert one.monitor(0)["decision"] == "retrain"
    assert said(one) == []
    one.always.close()


@pytest.mark.parametrize(("command", "needed"), [("monitor", False), ("promote", True)])
def test_a_command_that_fails_ends_the_walk_with_what_it_said(here: Path, command: str, needed: bool) -> None:
    one = small_walk.walk(here)
    assert isinstance(one.clone, small_walk.Recorded)
    if needed:
        one.clone.reports["monitor"] = small_walk.seen(one.served[0])
    one.clone.codes[command] = 1
    with pytest.raises(InputError, match=f"`{command}` failed: it said so"):
        one.month(0, small_walk.Answers())
    one.always.close()


def test_a_broken_sensor_is_named_by_an_alarm_on_its_column_and_mended_from_then_on(here: Path) -> None:
    one = small_walk.walk(here, faults=True)
    one.always.faults.clear()
    one.always.faults[table.SENSOR] = one.served[0]
    column, value = one.always.stuck.result() or ("", 0.0)
    other = "x" if column == "z" else "z"
    history = {"max": 1, "accept": {"2020-01": "known"}}
    gates = one.params.gates.model_copy(update={"pretrain": {"history": history}})
    one.params = one.params.model_copy(update={"gates": gates})
    first = month(one, 0, small_walk.seen(one.served[0], alarms=(other,)), REFUSED)
    assert (first["fault"], first["gates"], first["named"]) == (table.SENSOR, ["drift", "anchor"], {})
    source = pd.read_parquet(here / changes(one)["ingest__source"])
    assert set(source.loc[source["when"].dt.month == 4, column]) == {value}
    second = month(one, 1, small_walk.seen(one.served[1], alarms=(other, column)), REFUSED)
    assert second["named"] == {table.SENSOR: ["drift"]}
    third = month(one, 2, small_walk.seen(one.served[2], alarms=(column,)), REFUSED)
    assert third["named"] == {}
    assert changes(one)["ingest__source"] == "rows.csv"
    accepted = changes(one)["gates__pretrain__history__accept"]
    assert accepted == {"2020-01": "known", "2020-04": "broken sensor: the source was repaired"}
    monitored = [told for told in said(one) if told[0] == "monitor"]
    assert [told[3:] for told in monitored] == [(), (), ("--reset", "repaired: broken sensor")]
    one.always.close()


def test_a_fault_is_not_in_the_source_before_its_month(here: Path) -> None:
    one = small_walk.walk(here, faults=True)
    one.always.faults.clear()
    one.always.faults[table.LABELS] = one.served[1]
    one.publish(one.served[0], set())
    assert changes(one)["ingest__source"] == "rows.csv"
    one.publish(one.served[1], set())
    assert changes(one)["ingest__source"] != "rows.csv"
    one.always.close()


@pytest.mark.parametrize(
    ("fault", "found", "promotion", "by"),
    [
        (table.LABELS, {"concerns": [{"gate": "quality"}]}, REFUSED, ["quality"]),
        (table.OUTAGE, {"concerns": [{"gate": "labels"}]}, REFUSED, ["labels"]),
        (table.LABELS, {}, {**REFUSED, "gates": ["baseline"]}, ["baseline"]),
        (table.LABELS, {}, {**REFUSED, "gates": ["drift"], "reason": "late: 0.7 from history"}, ["drift"]),
        (table.LABELS, {}, {**REFUSED, "gates": ["drift"], "reason": "x moved, and later z"}, None),
        (table.OUTAGE, {"decision": "halted"}, REFUSED, None),
        (table.TAMPERED, {}, {**REFUSED, "gates": ["digest"]}, ["digest"]),
        (table.TAMPERED, {}, PROMOTED, None),
    ],
)
def test_each_fault_is_named_by_the_gates_that_speak_of_it(
    here: Path, fault: str, found: dict[str, Any], promotion: dict[str, Any], by: list[str] | None
) -> None:
    one = small_walk.walk(here, faults=True)
    one.always.faults.clear()
    one.always.faults[fault] = one.served[0]
    model = registered(here)
    seen = small_walk.seen(one.served[0], **{"decision": "retrain", **found})
    assert month(one, 0, seen, promotion)["named"] == ({fault: by} if by else {})
    assert isinstance(one.clone, small_walk.Recorded)
    assert (one.clone.judged[:1] == [[REGISTERED]]) == (one.clone.judged != [] and fault != table.TAMPERED)
    assert model.read_bytes() == REGISTERED  # again
    assert said(one).count(("register",)) == (fault == table.TAMPERED)
    one.always.close()


def test_what_a_named_fault_stopped_is_mended_and_done_again(here: Path) -> None:
    """A challenger that was tampered with is refused, and promoted once its own model lies in the store again."""
    one = small_walk.walk(here, faults=True)
    one.always.faults.clear()
    one.always.faults[table.TAMPERED] = one.served[0]
    model, refused = registered(here), {**REFUSED, "gates": ["digest"], "reason": "not what was registered"}
    found = small_walk.seen(one.served[0])
    assert isinstance(one.clone, small_walk.Recorded)
    one.clone.reports.update(monitor=found, promotion=[refused, PROMOTED])
    one.clone.codes["monitor"] = 3
    walked = one.month(0, small_walk.Answers())
    assert (walked["outcome"], walked["named"], walked["digest"]) == ("promoted", {table.TAMPERED: ["digest"]}, "new")
    assert walked["reason"] == (
        "as it was found; refused: not what was registered; mended, and promoted: every test passed"
    )
    first, second = one.clone.judged
    assert first != [REGISTERED]
    assert second == [REGISTERED]
    steps = "monitor repro commit register promote repro commit promote"
    assert " ".join(told[0] for told in said(one)) == steps
    assert not walk.ORIGINAL.exists()
    assert model.read_bytes() == REGISTERED
    one.always.close()


def test_a_tampered_model_is_another_and_a_killed_walk_still_knows_the_first(here: Path) -> None:
    one = small_walk.walk(here, faults=True)
    model = registered(here)
    for _ in range(2):  # killed before the model was put back
        with suppress(KeyboardInterrupt), one.tampered(0):
            assert model.read_bytes() != REGISTERED
            raise KeyboardInterrupt
        assert walk.ORIGINAL.read_bytes() == REGISTERED
    with one.tampered(0):
        pass
    assert model.read_bytes() == REGISTERED
    one.always.close()


def test_a_killed_trainer_is_named_and_run_again(here: Path) -> None:
    one = small_walk.walk(here, faults=True)
    one.always.faults.clear()
    one.always.faults[table.KILLED] = one.served[0]
    one.clone.reports["promotion"] = [{**REFUSED, "gates": []}, PROMOTED]
    one.clone.reports["monitor"] = small_walk.seen(one.served[0])
    found = one.month(0, small_walk.Answers())
    assert said(one)[1:] == [("repro", True), ("promote",), ("repro", False),
                             ("commit", "Move the window to 2020-05-01"), ("promote",)]  # fmt: skip
    assert (found["outcome"], found["gates"], found["named"]) == ("promoted", ["repro"], {table.KILLED: ["repro"]})
    one.always.close()


def test_a_source_that_was_poisoned_is_as_it_was_for_the_second_retraining(here: Path) -> None:
    one = small_walk.walk(here, faults=True)
    one.always.faults.clear()
    one.always.faults[table.LABELS] = one.served[0]
    found = month(one, 0, small_walk.seen(one.served[0], concerns=[{"gate": "quality"}]), REFUSED)
    sources = [
        told[1]["ingest__source"]
        for told in one.clone.said
        if "ingest__source" in (told[1] if told[0] == "set" else ())
    ]
    assert [source == "rows.csv" for source in sources] == [False, True]
    assert (found["outcome"], found["named"]) == ("refused", {table.LABELS: ["quality"]})
    assert said(one).count(("promote",)) == 2
    one.always.close()


def test_a_fault_of_a_retraining_waits_for_one(here: Path) -> None:
    one = small_walk.walk(here, faults=True)
    one.always.faults.clear()
    one.always.faults |= {table.KILLED: one.served[0], table.LABELS: one.served[0]}
    month(one, 0, small_walk.seen(one.served[0], "watch"))
    one.postpone(0)
    assert one.always.faults[table.KILLED] == one.served[0]
    one.postpone(1)
    assert one.always.faults == {table.KILLED: one.served[1], table.LABELS: one.served[0]}
    month(one, 1, small_walk.seen(one.served[1]), {**REFUSED, "gates": []})
    one.postpone(2)
    assert one.always.faults[table.KILLED] == one.served[1]
    one.always.close()


def test_a_challenger_that_no_pipeline_made_is_not_tampered_with(here: Path) -> None:
    """A gate closed before there was one to register: the fault waits for the next."""
    one = small_walk.walk(here, faults=True)
    one.always.faults.clear()
    one.always.faults[table.TAMPERED] = one.served[0]
    assert isinstance(one.clone, small_walk.Recorded)
    one.clone.red.append("calibration")
    assert month(one, 0, small_walk.seen(one.served[0]))["struck"] == []
    one.postpone(1)
    assert one.always.faults[table.TAMPERED] == one.served[1]
    one.always.close()


def test_a_challenger_that_cannot_be_registered_cannot_be_tampered_with(here: Path) -> None:
    one = small_walk.walk(here, faults=True)
    with pytest.raises(InputError, match="`register` failed: it said so"), one.tampered(0):
        pass
    one.always.close()


def test_a_halt_is_named_by_the_breaker_after_what_the_monitor_found(here: Path) -> None:
    one = small_walk.walk(here)
    found = month(one, 0, small_walk.seen(one.served[0], "halted", ("x",)))
    assert (found["gates"], found["outcome"]) == (["drift", "breaker"], "none")
    one.always.close()
