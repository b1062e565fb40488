"""The decision: enough windows, no haste, and a person after fruitless retrainings."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from {{ cookiecutter.project_slug }} import config
from {{ cookiecutter.project_slug }}.monitoring import decision
from {{ cookiecutter.project_slug }}.monitoring.decision import Concern, Retraining, decide, needs
from {{ cookiecutter.project_slug }}.registry import tracking

from . import small_project

NOW = dt.datetime(2024, 3, 1)
NEVER = dt.datetime.min
DRIFT, LABELS = Concern("drift", "it moved", True), Concern("labels", "they are missing", False)
SETTINGS = config.Monitor.model_validate(
    small_project.MONITOR | {"cool_down_days": 3, "max_per_week": 2, "max_refused": 2}
)


def ago(days: float, version: str = "1") -> Retraining:
    """A retraining that was asked for some days ago."""
    return Retraining(NOW - dt.timedelta(days=days), version, "it moved")


@pytest.mark.parametrize(
    ("alarms", "asked"),
    [
        ([True, False, True], True),
        ([False, True, True], True),
        ([True, True, False], False),
        ([False, False, True], False),
        ([True, True, True], True),
    ],
)
def test_enough_windows_and_the_latest_must_alarm(alarms: list[bool], asked: bool) -> None:
    assert needs(alarms, SETTINGS) is asked


@pytest.mark.parametrize(
    ("past", "decided", "said"),
    [
        ([], "retrain", "it moved"),
        ([ago(2.9)], "watch", "cool-down until 2024-03-01 02:24:00: it moved"),
        ([ago(3)], "retrain", "it moved"),
        ([ago(6.9, "0"), ago(4, "0")], "watch", "2 retrainings within a week already: it moved"),
        ([ago(7, "0"), ago(4, "0")], "retrain", "it moved"),
        ([ago(30), ago(20)], "halted", "2 retrainings in a row brought no new champion; still: it moved"),
        ([ago(30), ago(20, "0")], "retrain", "it moved"),
        ([ago(0)], "retrain", "it moved"),
        ([ago(30), ago(20), ago(0)], "retrain", "it moved"),
        ([ago(0, "0")], "retrain", "it moved"),
        ([ago(-1), ago(-2)], "retrain", "it moved"),
    ],
)
def test_haste_and_futility(past: list[Retraining], decided: str, said: str) -> None:
    """The same question again gets the same answer; what lies ahead, as in a replay, counts for nothing."""
    assert decide([DRIFT], NOW, "1", past, NEVER, SETTINGS) == (decided, said)


def test_a_reset_lets_old_retrainings_count_no_more() -> None:
    past = [ago(30), ago(20)]
    assert decide([DRIFT], NOW, "1", past, NOW - dt.timedelta(days=20), SETTINGS)[0] == "retrain"
    assert decide([DRIFT], NOW, "1", past, NOW - dt.timedelta(days=30), SETTINGS)[0] == "halted"


def test_worries_alone_retrain_nothing() -> None:
    assert decide([LABELS], NOW, "1", [], NEVER, SETTINGS) == ("watch", "they are missing")
    assert decide([], NOW, "1", [ago(30), ago(20)], NEVER, SETTINGS)[0] == "healthy"
    assert decide([LABELS, DRIFT], NOW, "1", [], NEVER, SETTINGS)[1] == "it moved; they are missing"


class Registry:
    """Stands in for the part of MLflow's client that keeps tags."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}

    def get_registered_model(self, name: str) -> Registry:
        assert name == tracking.NAME
        return self

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        assert name == tracking.NAME
        self.tags[key] = value


def test_what_was_asked_is_remembered_in_order() -> None:
    registry = Registry()
    for one in (ago(1), ago(9, "0")):
        decision.ask(registry, one)
    registry.set_registered_model_tag(tracking.NAME, "look.abc", "{}")
    assert decision.history(registry) == ([ago(9, "0"), ago(1)], NEVER)
    decision.reset(registry, NOW, "looked into it")
    assert decision.history(registry)[1] == NOW
    assert json.loads(registry.tags["retrain_reset"])["reason"] == "looked into it"


def test_a_long_reason_fits_a_tag() -> None:
    registry = Registry()
    decision.ask(registry, Retraining(NOW, "1", "x" * 9000))
    assert [len(one.reason) for one in decision.history(registry)[0]] == [2000]
