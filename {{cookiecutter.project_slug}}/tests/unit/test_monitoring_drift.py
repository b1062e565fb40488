"""The monitor's thresholds: ordinary windows seldom alarm, and what has moved does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from {{ cookiecutter.project_slug }}.gates import drift as history
from {{ cookiecutter.project_slug }}.gates import intervals, reference
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
    return {name: reference.aspect(found, day) for name, found in values(0).items()}


def judged(aspects: dict[str, reference.Aspect], found: dict[str, pd.Series], ordinary: drift.Usual) -> set[str]:
    """The aspects that alarm."""
    counts = {name: aspects[name].bins.rows(series) for name, series in found.items()}
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
            counts[name] = drawn
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
    counts = {name: aspects[name].bins.rows(series) for name, series in found.items()}
    judgement = drift.judge(aspects, counts, ordinary)
    assert {one.alarm for one in judgement} == {True, False}
    for one in judgement:
        assert one.alarm == (one.distance > one.threshold)


def test_the_threshold_is_that_of_as_many_alarms_as_there_are(aspects: dict[str, reference.Aspect]) -> None:
    """Benjamini and Hochberg: the k-th smallest of n p-values is held against k / n of the level."""
    ordinary = drift.usual(aspects, 4, 1000, 0.05)
    found = shifted(another_unit(values(50, 4)))
    judgement = drift.judge(
        aspects, {name: aspects[name].bins.rows(series) for name, series in found.items()}, ordinary
    )
    assert sum(one.alarm for one in judgement) == 2
    limits = ordinary.distance_at(ordinary.cut * 2 / len(judgement))
    assert [one.threshold for one in judgement] == pytest.approx(list(limits))


def test_only_what_lies_below_the_cut_alarms(aspects: dict[str, reference.Aspect]) -> None:
    ordinary = drift.usual(aspects, 4, 1000, 0.05)
    counts = {name: aspects[name].bins.rows(series) for name, series in shifted(values(50, 4)).items()}
    smallest = min(intervals.benjamini_hochberg([one.p for one in drift.judge(aspects, counts, ordinary)]))
    for cut, alarms in ((smallest, 0), (np.nextafter(smallest, 1), 1)):
        judgement = drift.judge(aspects, counts, replace(ordinary, cut=float(cut)))
        assert sum(one.alarm for one in judgement) == alarms


def test_thinning_moves_no_row_to_a_bin_that_had_none() -> None:
    flag = reference.Aspect(reference.Bins(None, ["False"]), np.tile([250, 0], (60, 1)))
    assert (drift.run_distances(flag, 7, 500, np.random.default_rng(0)) == 0).all()


def test_a_column_that_never_moved_may_move_by_a_hundredth() -> None:
    aspects = {"flag": reference.Aspect(reference.Bins(None, ["False"]), np.tile([250, 0], (60, 1)))}
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
        empty = np.zeros(one.bins.count)
        empty[-1] = 1750
        counts[name] = empty
    assert all(one.alarm for one in drift.judge(aspects, counts, ordinary))


def test_without_days_a_window_stands_for_as_many_rows() -> None:
    assert drift.run_of(180, 500, 45_000, dated=True, window_days=7) == 7
    assert drift.run_of(180, 500, 45_000, dated=False, window_days=7) == 2
    assert drift.run_of(180, 1, 45_000, dated=False, window_days=7) == 1
    assert drift.run_of(3, 1, 1, dated=False, window_days=7) == 3
    assert drift.run_of(3, 0, 0, dated=False, window_days=7) == 1


def test_runs_are_compared_with_the_rest() -> None:
    rows = np.array([[4.0, 0.0], [0.0, 4.0], [4.0, 0.0], [0.0, 4.0]])
    found = drift.run_distances(reference.Aspect(reference.Bins(None, ["x"]), rows), 1, 10**9, np.random.default_rng(0))
    inside, rest = history.runs(rows, 1)
    assert found.tolist() == history.distances(inside, rest, False).tolist()
    assert found.tolist() == pytest.approx([2 / 3] * 4)


def test_log_odds_are_symmetric_and_finite() -> None:
    assert drift.log_odds(np.array([0.0, 0.5, 1.0])).tolist() == pytest.approx([-np.log(101), 0.0, np.log(101)])


def test_p_values_and_distances_are_those_of_student() -> None:
    """Nine degrees of freedom for ten independent runs; distances stay within 0 and 1."""
    made = drift.Usual(["a", "b"], np.array([0.0, -1.0]), np.array([1.0, 0.5]), 10, 0.05)
    assert made.p_values(np.array([0.5, 0.5])).tolist() == pytest.approx([0.5, stats.t.sf(2.0, 9)])
    share = special.expit(np.array([1.0, 0.5]) * stats.t.isf(0.2, 9) + np.array([0.0, -1.0]))
    assert made.distance_at(0.2).tolist() == pytest.approx(list(share * 1.02 - 0.01))
    assert made.p_values(made.distance_at(0.07)).tolist() == pytest.approx([0.07, 0.07])
    assert made.distance_at(1e-9).max() == 1.0
    assert made.distance_at(1 - 1e-9).min() == 0.0


def test_what_is_ordinary_is_computed_as_it_says(aspects: dict[str, reference.Aspect]) -> None:
    """Level, spread, independent runs and cut, from the runs' own distances."""
    ordinary = drift.usual(aspects, 7, 500, 0.05)
    random = np.random.default_rng(0)
    found = np.column_stack([drift.run_distances(one, 7, 500, random) for one in aspects.values()])
    odds = drift.log_odds(found)
    assert found.shape == (DAYS - 6, len(aspects))
    assert ordinary.independent == 25
    assert ordinary.level.tolist() == pytest.approx(list(odds.mean(axis=0)))
    farthest = (odds.max(axis=0) - odds.mean(axis=0)) / stats.t.isf(0.05 / len(aspects), 24)
    usual = odds.std(axis=0, ddof=1) * np.sqrt(1 + 1 / 25)
    assert ordinary.spread.tolist() == pytest.approx(list(np.max([farthest, usual, np.full(6, 0.25)], axis=0)))
    assert {*np.argmax([farthest, usual], axis=0)} == {0, 1}
    smallest = np.sort([stats.false_discovery_control(p).min() for p in ordinary.p_values(found)])
    assert ordinary.cut == min(0.05, smallest[int(0.05 * len(smallest))])


def test_the_level_is_lowered_where_columns_alarm_together() -> None:
    """Ten columns that move as one, on every tenth day: adjusted, each of these days would alarm."""
    share = np.where(np.arange(120) % 10, 0.5, 0.7)
    share[0] = 0.71
    rows = np.column_stack([share, 1 - share]) * 1000
    aspects = {f"c{i}": reference.Aspect(reference.Bins(None, ["x"]), rows) for i in range(10)}
    ordinary = drift.usual(aspects, 1, 10**9, 0.05)
    assert ordinary.cut < 0.05
    alarms = [drift.judge(aspects, {name: rows[day] for name in aspects}, ordinary)[0].alarm for day in (0, 10, 20)]
    assert alarms == [True, False, False]


def test_runs_are_thinned_to_the_windows_rows() -> None:
    """Drawn from the run's own rows, as many as the window has; a smaller run is taken as it is; an empty one is 0."""
    rows = np.array([[30.0, 10.0], [10.0, 30.0], [2.0, 2.0], [0.0, 0.0], [20.0, 20.0]])
    one = reference.Aspect(reference.Bins(None, ["x"]), rows)
    inside, rest = history.runs(rows, 1)
    thin = drift.run_distances(one, 1, 4, np.random.default_rng(0))
    drawn = np.random.default_rng(0).multinomial(
        [4, 4, 4, 0, 4], [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
    )
    expected = history.distances(np.where(rows.sum(axis=1, keepdims=True) > 4, drawn, inside), rest, False)
    assert thin.tolist() == pytest.approx(list(expected))
    assert thin[3] == 0.0
    whole = drift.run_distances(one, 1, 40, np.random.default_rng(0))
    assert whole.tolist() == pytest.approx(list(history.distances(inside, rest, False)))


def test_numbers_are_compared_in_order() -> None:
    """Kolmogorov-Smirnov for bins of a number, total variation for categories."""
    rows = np.array([[5.0, 0.0, 5.0], [0.0, 10.0, 0.0], [5.0, 0.0, 5.0], [5.0, 0.0, 5.0]])
    numbers = reference.Aspect(reference.Bins(np.array([1.0, 2.0]), []), rows)
    assert drift.run_distances(numbers, 1, 10**9, np.random.default_rng(0))[1] == pytest.approx(0.5)
    kinds = reference.Aspect(reference.Bins(None, ["x", "y"]), rows)
    assert drift.run_distances(kinds, 1, 10**9, np.random.default_rng(0))[1] == pytest.approx(1.0)


def test_a_finding_says_its_p_value(aspects: dict[str, reference.Aspect]) -> None:
    ordinary = drift.usual(aspects, 4, 1000, 0.05)
    counts = {name: aspects[name].bins.rows(series) for name, series in values(60, 4).items()}
    for one in drift.judge(aspects, counts, ordinary):
        place = ordinary.names.index(one.aspect)
        distances = np.full(len(aspects), one.distance)
        assert one.p == pytest.approx(ordinary.p_values(distances)[place])
        assert one.alarm is False
        assert one.threshold == pytest.approx(ordinary.distance_at(ordinary.cut / len(aspects))[place])
