"""Bounds hold as often as they say, also when the rows of a block are alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import intervals

Make = Callable[..., Any]


def test_independent_rows_give_the_textbook_error() -> None:
    """One row a block: mean and s / sqrt(n); many blocks: the t bound."""
    values = np.random.default_rng(0).normal(3, 2, 1500)
    found = intervals.estimate(values, np.arange(1500), 0.95)
    error = values.std(ddof=1) / np.sqrt(1500)
    assert found.value == pytest.approx(values.mean())
    assert found.error == pytest.approx(error)
    assert found.low == pytest.approx(values.mean() - stats.t.ppf(0.95, 1499) * error)
    assert found.high == pytest.approx(values.mean() + stats.t.ppf(0.95, 1499) * error)
    assert found.detectable == pytest.approx((stats.t.ppf(0.95, 1499) + stats.t.ppf(0.8, 1499)) * error)
    assert (found.rows, found.units) == (1500, 1500)


def test_copies_of_a_row_in_its_block_are_no_news() -> None:
    """Seven copies of each row say as much as one; as rows of their own they would pretend to be seven."""
    values = np.random.default_rng(1).normal(size=40)
    once = intervals.estimate(values, np.arange(40), 0.95)
    copied = intervals.estimate(np.repeat(values, 7), np.repeat(np.arange(40), 7), 0.95)
    assert (copied.low, copied.error, copied.high) == pytest.approx((once.low, once.error, once.high))
    assert intervals.estimate(np.repeat(values, 7), np.arange(280), 0.95).error < 0.4 * once.error


def test_the_error_of_unequal_blocks_is_that_of_leaving_one_out() -> None:
    """By hand: how far the mean of the others lies from that of all; and as many degrees as equal blocks would have."""
    values, blocks = np.array([1.0, 2.0, 4.0, 7.0, 1.0, 0.0]), np.array([5, 5, 5, 2, 9, 9])
    found = intervals.estimate(values, blocks, 0.9)
    others = np.array([values[blocks != block].mean() for block in (2, 5, 9)])
    assert found.value == pytest.approx(2.5)
    assert found.error == pytest.approx(np.sqrt(((others - 2.5) ** 2).sum() * 2 / 3))
    assert found.freedom == pytest.approx(36 / (9 + 1 + 4) - 1)


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_the_error_of_a_replicate_is_that_of_a_ratio(scale: float) -> None:
    """Linearised by hand: residuals of block sums around mean times size, of blocks that were drawn as often."""
    sums, sizes, weights = scale * np.array([7.0, 7.0, 1.0]), np.array([1.0, 3, 2]), np.array([[1.0, 1, 1], [0, 1, 2]])
    means, errors = intervals.mean_and_error(sums, sizes, weights)
    for drawn, mean, error in zip(([0, 1, 2], [1, 2, 2]), means, errors, strict=True):
        residuals = sums[drawn] - mean * sizes[drawn]
        assert mean == pytest.approx(sums[drawn].sum() / sizes[drawn].sum())
        assert error == pytest.approx(np.sqrt((residuals**2).sum() * 3 / 2) / sizes[drawn].sum())


def test_one_block_among_many_tells_nothing_of_the_next() -> None:
    """A customer with nine rows of ten: with a degree of freedom for each block chance is sure every other time."""
    rng = np.random.default_rng(8)
    blocks = np.repeat(np.arange(30), [*[10] * 29, 2900])
    sure = 0
    for _ in range(100):
        values = rng.normal(0, 1, 30)[blocks] + rng.normal(0, 1, len(blocks))
        found = intervals.estimate(values, blocks, 0.95, replicates=100)
        sure += found.low > 0 or found.high < 0 or intervals.p_value_below(values, blocks, 0.0, 100) < 0.05
    assert sure == 0


@pytest.mark.parametrize("power", [1.0, 1.3])
def test_bounds_hold_where_few_blocks_hold_most_rows(power: float) -> None:
    """Sizes as 1/k: G - 1 degrees and the linearised error miss in more than eight of a hundred."""
    rng, misses = np.random.default_rng(9), np.zeros(3)
    sizes = np.maximum(1, 200 / np.arange(1, 41) ** power).astype(int)
    for _ in range(500):
        sums = rng.normal(0, 1, 40) * sizes + rng.normal(0, 1, 40) * np.sqrt(sizes)
        mean, error, freedom = intervals.jackknife(sums, sizes.astype(float))
        plain = intervals.mean_and_error(sums, sizes.astype(float), np.ones((1, 40)))[1][0]
        bound, common = error * stats.t.ppf(0.95, freedom), plain * stats.t.ppf(0.95, 39)
        misses += [mean - bound > 0, mean + bound < 0, mean - common > 0]
    low, high, naive = misses / 500
    assert 0.01 <= low <= 0.07
    assert 0.01 <= high <= 0.07
    assert naive > 0.08


@pytest.mark.parametrize("skewed", [False, True])
def test_bounds_miss_as_often_as_they_say(skewed: bool) -> None:
    """One-sided 95 % bounds over correlated blocks of unequal size miss between 1 and 9 in a hundred."""
    rng = np.random.default_rng(2024)
    misses = np.zeros(3)
    runs = 500
    for _ in range(runs):
        sizes = rng.integers(1, 20, 40)
        effect = rng.exponential(1, 40) - 1 if skewed else rng.normal(0, 1, 40)
        blocks = np.repeat(np.arange(40), sizes)
        values = effect[blocks] + rng.normal(0, 1, len(blocks))
        found = intervals.estimate(values, blocks, 0.95, replicates=400)
        row_wise = values.mean() - 1.645 * values.std() / np.sqrt(len(values))
        misses += [found.low > 0, found.high < 0, row_wise > 0]
    low, high, naive = misses / runs
    assert 0.01 <= low <= 0.09
    assert 0.01 <= high <= 0.09
    assert naive > 0.12


def test_bounds_lie_around_the_mean_and_widen_with_confidence() -> None:
    """And the same call gives the same bounds: replicates are drawn with a fixed seed."""
    rng = np.random.default_rng(3)
    values, blocks = rng.normal(size=300), rng.integers(0, 25, 300)
    narrow, wide = intervals.estimate(values, blocks, 0.9), intervals.estimate(values, blocks, 0.99)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    assert intervals.estimate(values, blocks, 0.9) == narrow


def test_few_blocks_never_profit_from_the_bootstrap() -> None:
    """Two blocks: every replicate that varies has the mean itself, so the t quantile of one degree is taken."""
    t = stats.t.ppf(0.95, 1)
    found = intervals.estimate(np.array([0.0, 1.0]), np.array([0, 1]), 0.95)
    assert found.low == pytest.approx(0.5 - t * found.error)
    skewed = np.random.default_rng(5).exponential(1, 20)
    one = intervals.estimate(skewed, np.arange(20), 0.95)
    assert one.low == pytest.approx(one.value - stats.t.ppf(0.95, 19) * one.error)
    assert one.high > one.value + 1.1 * stats.t.ppf(0.95, 19) * one.error
    assert one.detectable == pytest.approx(one.high - one.value + stats.t.ppf(0.8, 19) * one.error)


@pytest.mark.parametrize(("most", "bootstrapped"), [(12, True), (11, False)])
def test_many_blocks_have_the_t_bound(monkeypatch: pytest.MonkeyPatch, most: int, bootstrapped: bool) -> None:
    """Up to and with `BOOTSTRAP_BLOCKS` the bootstrap's, beyond the t quantile of G - 1 degrees."""
    monkeypatch.setattr(intervals, "BOOTSTRAP_BLOCKS", most)
    values = np.random.default_rng(6).exponential(1, 12)
    found = intervals.estimate(values, np.arange(12), 0.95)
    t_bound = found.value + stats.t.ppf(0.95, 11) * found.error
    assert (found.high != pytest.approx(t_bound)) == bootstrapped
    detectable = (stats.t.ppf(0.95, 11) + stats.t.ppf(0.8, 11)) * found.error
    assert (found.detectable != pytest.approx(detectable)) == bootstrapped


def test_a_constant_has_no_error_and_one_block_no_bound() -> None:
    """A mean over one block says nothing about the next; NaN stays NaN."""
    found = intervals.estimate(np.full(6, 0.25), np.arange(6) % 3, 0.95)
    assert (found.low, found.value, found.high, found.error) == (0.25, 0.25, 0.25, 0.0)
    with pytest.raises(InputError, match="1 unit of resampling: at least two"):
        intervals.estimate(np.array([1.0, 2.0]), np.array([4, 4]), 0.95)
    assert np.isnan(intervals.estimate(np.array([np.nan, 1.0]), np.array([0, 1]), 0.95).low)


def test_a_p_value_is_small_when_the_mean_is_surely_below() -> None:
    """That of a one-sided t test with many blocks, or above the floor; exact when there is no error."""
    values = np.random.default_rng(4).normal(-0.3, 1, 1200)
    for part, floor in ((values, -0.25), (values[:50], -0.5)):
        expected = stats.ttest_1samp(part, floor, alternative="less").pvalue
        assert intervals.p_value_below(part, np.arange(len(part)), floor) == pytest.approx(expected)
    ones = np.ones(5), np.arange(5)
    assert (intervals.p_value_below(*ones, 1.0), intervals.p_value_below(*ones, 1.1)) == (1.0, 0.0)


def test_a_p_value_of_few_blocks_is_the_larger_of_two() -> None:
    """The bootstrap's share where a long tail above makes low means common; else t's, as for the bounds."""
    skewed, blocks = np.random.default_rng(5).exponential(1, 20), np.arange(20)
    t = stats.ttest_1samp(skewed, 1.1, alternative="less")
    scores = intervals.bootstrap_scores(skewed, np.ones(20), skewed.mean(), 999)
    share = (1 + (scores <= t.statistic).sum()) / 1000
    assert intervals.p_value_below(skewed, blocks, 1.1, 999) == share > t.pvalue
    t = stats.ttest_1samp(-skewed, -0.5, alternative="less")
    assert intervals.p_value_below(-skewed, blocks, -0.5, 999) == pytest.approx(t.pvalue)


def test_p_values_of_skewed_sums_are_small_as_seldom_as_they_say() -> None:
    """Below 0.05 in some five of a hundred, where the t test alone is in more than eight."""
    rng = np.random.default_rng(11)
    blocks, small = np.arange(16), np.zeros(2)
    for _ in range(500):
        values = rng.exponential(1, 16)
        small += [
            intervals.p_value_below(values, blocks, 1.0) < 0.05,
            stats.ttest_1samp(values, 1.0, alternative="less").pvalue < 0.05,
        ]
    ours, t = small / 500
    assert 0.02 <= ours <= 0.065
    assert t > 0.08


def test_the_effect_that_a_test_detects_alone() -> None:
    """Two t quantiles, times the standard error."""
    found = intervals.Estimate(value=9.0, error=0.5, low=0.0, high=0.0, detectable=0.0, rows=40, units=40, freedom=15)
    expected = 0.5 * (stats.t.isf(0.001, 15) + stats.t.isf(0.2, 15))
    assert intervals.detectable_alone(found, 0.001) == pytest.approx(expected)


def test_a_farther_quantile_takes_more_replicates() -> None:
    """Twenty beyond it, from the usual number up to what memory allows."""
    assert intervals.replicates_for(0.05, np.arange(62)) == intervals.REPLICATES
    assert intervals.replicates_for(0.0005, np.arange(62) // 4) == 40_000
    assert intervals.replicates_for(1e-9, np.repeat(np.arange(50), 2)) == intervals.DRAWS // 50
    assert intervals.replicates_for(1e-9, np.arange(30)) == 166_666


def test_benjamini_and_hochberg_by_hand() -> None:
    """p * m / rank, made monotone from the largest down, in the given order."""
    assert intervals.benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    assert intervals.benjamini_hochberg([0.5]) == [0.5]
    assert intervals.benjamini_hochberg([]) == []


@pytest.mark.parametrize(
    ("way", "blocks"),
    [
        ("row", 200),
        ("hour", None),
        ("day", 10),
        ("2 days", 5),
        ("4 days", 3),
        ("10 days", 1),
        ("week", 2),
        ("month", 1),
        ("group", 20),
        ("place", 3),
    ],
)
def test_units_of_resampling(rows_of: Make, contract_of: Make, way: str, blocks: int | None) -> None:
    """Periods of the time column, entities, any column, or each row; numbered from 0 in order."""
    frame = rows_of()
    found = intervals.units(frame, contract_of(), way)
    expected = blocks or frame["when"].dt.floor("h").nunique()
    assert sorted(set(found)) == list(range(expected))
    shuffled = frame.sample(frac=1, random_state=0)
    assert (intervals.units(shuffled, contract_of(), way) == found[shuffled.index]).all() or way == "row"
    if way == "day":
        assert (np.diff(found) >= 0).all()
        assert pd.Series(found).groupby(frame["when"].dt.date).nunique().eq(1).all()


def test_days_in_a_row_are_counted_from_the_first_day(rows_of: Make, contract_of: Make) -> None:
    """By the calendar, whatever the hour and the order of rows, across months, and over days without rows."""
    times = ["2024-02-29 23:00", "2024-02-27 22:00", "2024-02-28 01:00", "2024-03-01 00:00", "2024-03-09 12:00"]
    frame = rows_of(5).assign(when=pd.to_datetime(times))
    assert intervals.units(frame, contract_of(), "2 days").tolist() == [1, 0, 0, 1, 2]
    assert intervals.units(frame, contract_of(), "3 days").tolist() == [0, 0, 0, 1, 2]
    assert intervals.units(frame, contract_of(), "12 days").tolist() == [0, 0, 0, 0, 0]


@pytest.mark.parametrize(("way", "gone"), [("day", "when"), ("4 days", "when"), ("group", "who"), ("nowhere", "id")])
def test_a_unit_that_the_table_lacks_is_named(rows_of: Make, contract_of: Make, way: str, gone: str) -> None:
    """With what may stand there instead."""
    with pytest.raises(InputError, match=rf"gates.resample_by: {way} needs a column.*days in a row \("):
        intervals.units(rows_of(), contract_of(**{gone: ...}), way)


@pytest.mark.parametrize("way", ["4 day", "1 days", "0 days", "04 days", "-2 days", "2.5 days", "days", "4 weeks"])
def test_days_that_cannot_be_counted_are_no_unit(rows_of: Make, contract_of: Make, way: str) -> None:
    """A slip of the pen is taken for a column's name, which the table does not have."""
    with pytest.raises(InputError, match=f"gates.resample_by: {way} needs a column"):
        intervals.units(rows_of(), contract_of(), way)


@pytest.mark.parametrize("confidence", [0.6, 0.95])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_detectable_effect_is_that_of_the_harder_side(confidence: float, sign: int) -> None:
    """What the bound takes, and what chance takes in one of five; either never below its t quantile."""
    values = sign * np.random.default_rng(5).exponential(1, 20)
    found = intervals.estimate(values, np.arange(20), confidence)
    scores = intervals.bootstrap_scores(values, np.ones(20), values.mean(), intervals.REPLICATES)
    floor, chance = stats.t.ppf([confidence, 0.8], 19)
    lowest, low, high, highest = np.quantile(scores, [1 - confidence, 0.2, 0.8, confidence])
    below = max(highest, floor) + max(-low, chance)
    above = max(-lowest, floor) + max(high, chance)
    assert below != pytest.approx(above)
    assert found.detectable == pytest.approx(max(below, above) * found.error)


def test_replicates_that_do_not_vary_leave_the_t_quantiles() -> None:
    """Of G - 1 degrees."""
    bound, chance = stats.t.ppf([0.95, 0.8], 3)
    found = intervals.studentised(np.ones(4), np.ones(4), 1.0, 3, 0.95, 50)
    assert found == pytest.approx((bound, bound, bound + chance))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("errors", [0.0, 0.5, 2.0])
def test_a_mean_not_below_the_floor_has_the_p_value_of_t(sign: int, errors: float) -> None:
    """From one half on: there is no harm of which skewness could make too much."""
    # Sixteen numbers of few digits: their mean is exact, and so is a floor that is equal to it.
    values, blocks = sign * np.random.default_rng(5).exponential(64, 16).round() / 64, np.arange(16)
    known = intervals.estimate(values, blocks, 0.95)
    found = intervals.p_value_below(values, blocks, known.value - errors * known.error)
    assert found == pytest.approx(stats.t.cdf(errors, 15))


@pytest.mark.parametrize(("most", "bootstrapped"), [(20, True), (19, False)])
def test_a_p_value_of_many_blocks_is_that_of_t(monkeypatch: pytest.MonkeyPatch, most: int, bootstrapped: bool) -> None:
    """Beyond `BOOTSTRAP_BLOCKS`, as for the bounds."""
    monkeypatch.setattr(intervals, "BOOTSTRAP_BLOCKS", most)
    skewed = np.random.default_rng(5).exponential(1, 20)
    t = stats.ttest_1samp(skewed, 1.1, alternative="less").pvalue
    assert (intervals.p_value_below(skewed, np.arange(20), 1.1) > 1.001 * t) == bootstrapped
