"""The monitor's thresholds: ordinary windows seldom alarm, and what has moved does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }}.gates import drift as history
from {{ cookiecutter.project_slug }}.gates import reference
from {{ cookiecutter.project_slug }}.monitoring import drift

DAYS, ROWS = 180, 250


def values(seed: int, days: int = DAYS, rows: int = ROWS) -> dict[str, pd.Series]:
    """Five columns over days with `rows` rows each: two of them live by the day's weather, which lasts."""
    random = np.random.default_rng(seed)
    n, day = days * rows, np.repeat(np.arange(days), rows)
    weather = np.zeros(days)
    for i in range(1, days):
        weather[i] = 0.7 * weather[i - 1] + random.normal()
    kind = np.where(random.random(n) < 1 / (1 + np.exp(-0.5 * weather[day])), "wet", "dry")
    return {
        "steady": pd.Series(random.normal(size=n)),
        "other": pd.Series(random.exponential(size=n)),
        "weather": pd.Series(weather[day] + random.normal(size=n)),
        "kind": pd.Series(kind, dtype="object"),
        "place": pd.Series(random.choice(["a", "b", "c", "d"], n, p=[0.4, 0.3, 0.2, 0.1]), dtype="object"),
        "steady null": pd.Series(random.random(n) < 0.02).astype("object"),
    }


@pytest.fixture(scope="module")
def aspects() -> dict[str, reference.Aspect]:
    day = np.repeat(np.arange(DAYS), ROWS)
    return {name: reference.aspect(name, found, day, DAYS) for name, found in values(0).items()}


def judged(aspects: dict[str, reference.Aspect], found: dict[str, pd.Series], ordinary: drift.Usual) -> set[str]:
    """The aspects that alarm."""
    counts = {name: aspects[name].count(series) for name, series in found.items()}
    return {one.aspect for one in drift.judge(aspects, counts, ordinary) if one.alarm}


@pytest.mark.parametrize("length", [1, 2, 4, 7, 14, 28])
@pytest.mark.parametrize("rows", [300, 1000, 10**9])
def test_at_most_alpha_of_the_reference_alarms(aspects: dict[str, reference.Aspect], length: int, rows: int) -> None:
    """Every contiguous window of the reference period, by window size, whole and thinned to few rows."""
    ordinary = drift.usual(aspects, length, rows, 0.05)
    assert ordinary is not None
    random = np.random.default_rng(5)
    alarms, windows = 0, DAYS - length + 1
    for start in range(windows):
        counts = {}
        for name, one in aspects.items():
            whole = one.rows[start : start + length].sum(axis=0)
            drawn = random.multinomial(rows, whole / whole.sum()) if rows < whole.sum() else whole
            counts[name] = drawn.astype(float)
        # As the monitor does: against the whole reference, of which the window is a part here.
        alarms += any(one.alarm for one in drift.judge(aspects, counts, ordinary))
    assert alarms <= 0.05 * windows


def test_new_years_alarm_about_as_seldom(aspects: dict[str, reference.Aspect]) -> None:
    """Out of sample: weeks of other draws of the same world, a few more than alpha of which may alarm by chance."""
    ordinary = drift.usual(aspects, 7, 10**9, 0.05)
    assert ordinary is not None
    alarms = []
    for seed in range(1, 5):
        found = values(seed)
        for week in range(DAYS // 7):
            part = slice(week * 7 * ROWS, (week + 1) * 7 * ROWS)
            alarms.append(bool(judged(aspects, {name: series[part] for name, series in found.items()}, ordinary)))
    assert len(alarms) == 100
    assert np.mean(alarms) <= 0.1


def shifted(found: dict[str, pd.Series]) -> dict[str, pd.Series]:
    """Half a standard deviation."""
    return found | {"steady": found["steady"] + 0.5}


def another_unit(found: dict[str, pd.Series]) -> dict[str, pd.Series]:
    """Miles became kilometres."""
    return found | {"other": found["other"] * 1.609}


def collapsed(found: dict[str, pd.Series]) -> dict[str, pd.Series]:
    """Two categories became one."""
    return found | {"place": found["place"].replace("b", "a")}


def nulls(found: dict[str, pd.Series]) -> dict[str, pd.Series]:
    """A tenth of the values is gone."""
    gone = pd.Series(np.random.default_rng(1).random(len(found["steady"])) < 0.1)
    return found | {"steady null": (found["steady null"].astype(bool) | gone.to_numpy()).astype("object")}


@pytest.mark.parametrize(
    ("change", "name"),
    [(shifted, "steady"), (another_unit, "other"), (collapsed, "place"), (nulls, "steady null")],
)
def test_what_has_moved_is_seen(aspects, change, name) -> None:
    """Power of at least 0.9 with a thousand rows over four days, alone among six columns."""
    seen = []
    ordinary = drift.usual(aspects, 4, 1000, 0.05)
    for seed in range(10, 40):
        found = values(seed, 4)
        seen.append(name in judged(aspects, change(found), ordinary))
    assert np.mean(seen) >= 0.9


def test_a_window_of_few_rows_gets_a_wider_threshold(aspects: dict[str, reference.Aspect]) -> None:
    few, many = (drift.usual(aspects, 7, rows, 0.05) for rows in (100, 10**9))
    at = [ordinary.distance_at(0.01)[0] for ordinary in (few, many)]
    assert at[0] > 2 * at[1]


def test_a_short_reference_says_nothing(aspects: dict[str, reference.Aspect]) -> None:
    assert drift.usual(aspects, DAYS // drift.LEAST + 1, 1000, 0.05) is None
    assert drift.usual(aspects, DAYS // drift.LEAST, 1000, 0.05) is not None


def test_a_threshold_is_where_the_alarm_begins(aspects: dict[str, reference.Aspect]) -> None:
    """Whoever alarms lies above its threshold, whoever does not lies below."""
    ordinary = drift.usual(aspects, 4, 1000, 0.05)
    found = shifted(another_unit(values(50, 4)))
    judgement = drift.judge(aspects, {name: aspects[name].count(series) for name, series in found.items()}, ordinary)
    assert {one.alarm for one in judgement} == {True, False}
    for one in judgement:
        assert one.alarm == (one.distance > one.threshold)


def test_a_column_that_never_moved_may_move_by_a_hundredth() -> None:
    aspects = {"flag": reference.Aspect("flag", None, ["False"], np.tile([250.0, 0.0], (60, 1)))}
    ordinary = drift.usual(aspects, 7, 1750, 0.05)
    alarms = {
        share: drift.judge(aspects, {"flag": np.array([1 - share, share]) * 1750}, ordinary)[0].alarm
        for share in (0.0, 0.002, 0.1)
    }
    assert alarms == {0.0: False, 0.002: False, 0.1: True}


def test_a_change_to_something_never_seen_alarms_in_every_column(aspects: dict[str, reference.Aspect]) -> None:
    """No threshold is out of reach: a column all of whose rows fall where none was lies at distance 1."""
    ordinary = drift.usual(aspects, 7, 10**9, 0.05)
    counts = {}
    for name, one in aspects.items():
        empty = np.zeros(one.bins)
        empty[-1] = 1750
        counts[name] = empty
    assert all(one.alarm for one in drift.judge(aspects, counts, ordinary))


def test_without_days_a_window_stands_for_as_many_rows() -> None:
    assert drift.run_of(180, 500, 45_000, dated=True, window_days=7) == 7
    assert drift.run_of(180, 500, 45_000, dated=False, window_days=7) == 2
    assert drift.run_of(180, 1, 45_000, dated=False, window_days=7) == 1


def test_runs_are_compared_with_the_rest() -> None:
    rows = np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0], [0.0, 4.0]])
    found = drift.run_distances(reference.Aspect("a", None, ["x"], rows), 1, 10**9, np.random.default_rng(0))
    inside, rest = history.runs(rows, 1)
    assert found.tolist() == history.distances(inside, rest, False).tolist()
    assert found.tolist() == pytest.approx([2 / 3] * 4)
