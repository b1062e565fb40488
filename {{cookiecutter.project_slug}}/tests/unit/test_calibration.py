"""What miscalibration costs is what recalibration on other blocks would win back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special

from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import calibration, intervals


def test_log_odds_are_finite_at_certainty() -> None:
    """One in a thousand million is as sure as it gets."""
    found = calibration.log_odds(np.array([0.5, 0.75, 0.0, 1.0]))
    assert found == pytest.approx([0.0, np.log(3), -np.log(1e9), np.log(1e9)], abs=1e-6)


def test_the_logistic_map_finds_the_frequencies() -> None:
    """Two predictions and two frequencies: the line through their log-odds, up to the weight of one row."""
    p = np.repeat([0.2, 0.6], 50_000)
    y = np.concatenate([np.arange(50_000) < 20_000, np.arange(50_000) < 45_000]).astype(float)
    intercept, slope = calibration.logistic(y, p)
    x, z = special.logit([0.2, 0.6]), special.logit([0.4, 0.9])
    expected = (z[1] - z[0]) / (x[1] - x[0])
    assert slope == pytest.approx(expected, abs=1e-3)
    assert intercept == pytest.approx(z[0] - expected * x[0], abs=1e-3)
    assert calibration.recalibrated(y, p, np.array([0.6, 0.2, 0.2])) == pytest.approx([0.9, 0.4, 0.4], abs=1e-3)


def test_what_the_data_leave_open_stays_as_it_is() -> None:
    """A constant prediction moves by its intercept alone, pulled by one row; outcomes of one kind stay finite."""
    y = np.array([1.0] * 8 + [0.0] * 2)
    expected = optimize.brentq(lambda a: 10 * (special.expit(a) - 0.8) + a, 0, 5)
    intercept, slope = calibration.logistic(y, np.full(10, 0.5))
    assert (intercept, slope) == (pytest.approx(expected, abs=1e-4), pytest.approx(1.0, abs=1e-6))
    assert np.isfinite(calibration.logistic(np.ones(10), np.linspace(0, 1, 10))).all()
    assert calibration.logistic(np.empty(0), np.empty(0)) == (0.0, 1.0)


def test_the_logistic_map_is_the_most_likely_one_under_its_pull() -> None:
    """At the optimum the score equations with the ridge around (0, 1) hold, on few rows where the ridge counts."""
    y, p = np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0]), np.array([0.1, 0.2, 0.4, 0.5, 0.7, 0.95])
    intercept, slope = calibration.logistic(y, p)
    x = special.logit(p)
    residual = special.expit(intercept + slope * x) - y
    assert residual.sum() + intercept == pytest.approx(0, abs=1e-4)
    assert (residual * x).sum() + slope - 1 == pytest.approx(0, abs=1e-4)


def test_the_straight_map_is_least_squares() -> None:
    """A line is found again, in any unit; a constant prediction becomes the mean."""
    p = np.array([1.0, 2.0, 4.0, 7.0])
    assert calibration.straightened(3 + 2 * p, p, np.array([0.0, 10.0])) == pytest.approx([3.0, 23.0])
    slope, intercept = np.polyfit(p, [1.0, 5.0, 2.0, 8.0], 1)
    found = calibration.straightened(np.array([1.0, 5.0, 2.0, 8.0]), p, np.array([0.0, 1.0]))
    assert found == pytest.approx([intercept, intercept + slope])
    assert calibration.straightened(p, np.full(4, 9.0), np.array([1.0, 9.0])).tolist() == [3.5, 3.5]
    assert calibration.straightened(3 + 2 * p, p / 1000, np.array([0.01])) == pytest.approx([23.0])


@pytest.mark.parametrize(("task", "change"), [("regression", "straightened"), ("binary", "recalibrated")])
def test_each_half_is_mapped_by_the_other(task: str, change: str) -> None:
    """The first, third, ... block by the second, fourth, ..., whatever numbers they bear."""
    blocks = np.array([3, 3, 5, 5, 9, 9, 5])
    y, p = np.array([0.0, 1, 1, 0, 1, 1, 0]), np.array([0.1, 0.3, 0.9, 0.2, 0.6, 0.7, 0.4])
    first = np.array([True, True, False, False, True, True, False])
    apply = getattr(calibration, change)
    found = calibration.crossed(task, y, p, blocks)
    assert found[first].tolist() == apply(y[~first], p[~first], p[first]).tolist()
    assert found[~first].tolist() == apply(y[first], p[first], p[~first]).tolist()


def test_one_block_has_no_other_half() -> None:
    """It says so; two are enough."""
    with pytest.raises(InputError, match="two units of resampling or more: widen the window"):
        calibration.crossed("binary", np.ones(4), np.full(4, 0.5), np.full(4, 7))
    assert len(calibration.crossed("binary", np.ones(4), np.full(4, 0.5), np.array([7, 7, 8, 8]))) == 4


def test_the_loss_is_the_loss_before_less_the_loss_after() -> None:
    """Binary by hand; a shifted number loses its shift squared, as a share of the variance."""
    rng = np.random.default_rng(0)
    p, blocks = rng.uniform(0.05, 0.95, 80), np.repeat(np.arange(8), 10)
    y = (rng.random(80) < p).astype(float)
    after = calibration.crossed("binary", y, p, blocks)
    assert calibration.loss("binary", y, p, blocks) == pytest.approx((p - y) ** 2 - (after - y) ** 2)
    numbers = rng.normal(5, 3, 80)
    assert calibration.loss("regression", numbers, numbers + 2, blocks) == pytest.approx(4 / numbers.var())
    assert calibration.loss("regression", 10 * numbers, 10 * numbers + 20, blocks) == pytest.approx(4 / numbers.var())


def test_several_classes_lose_the_sum_of_each_against_the_rest() -> None:
    """Two columns of the three are here those of a binary task and its mirror image."""
    rng = np.random.default_rng(1)
    p, blocks = rng.dirichlet([1, 2, 3], 90), np.repeat(np.arange(9), 10)
    y = rng.integers(0, 3, 90).astype(float)
    each = [calibration.loss("binary", (y == k).astype(float), p[:, k], blocks) for k in range(3)]
    assert calibration.loss("multiclass", y, p, blocks) == pytest.approx(np.sum(each, axis=0))
    errors = [(p[:, k] - (y == k)).mean() for k in range(3)]
    assert calibration.mean_error("multiclass", y, p) == pytest.approx(errors)
    assert calibration.mean_error("binary", np.array([0.0, 1.0]), np.array([0.5, 0.9])) == pytest.approx([0.2])
    assert calibration.mean_error("regression", np.array([1.0, 2.0]), np.array([1.0, 5.0])) == pytest.approx([1.5])


def test_a_calibrated_model_loses_nothing_and_others_what_they_should() -> None:
    """Of 6,000 rows in 60 blocks: within a hundredth; over-confident and shifted predictions are beyond it."""
    rng = np.random.default_rng(2)
    p, blocks = rng.beta(2, 4, 6000), np.repeat(np.arange(60), 100)
    y = (rng.random(6000) < p).astype(float)

    def judged(said: np.ndarray) -> intervals.Estimate:
        return intervals.estimate(calibration.loss("binary", y, said, blocks), blocks, 0.95)

    honest = judged(p)
    assert abs(honest.value) < 0.001
    assert honest.high < 0.002
    doubled = special.expit(2 * special.logit(p))
    assert judged(doubled).low > 0.01
    assert judged(doubled).value == pytest.approx(((doubled - p) ** 2).mean(), abs=0.01)
    assert judged(np.clip(p + 0.15, 0, 1)).low > 0.01


def test_a_prediction_that_is_no_number_is_never_calibrated() -> None:
    """Its loss is no number either, which is below no limit."""
    p = np.array([np.nan, 0.2, 0.4, 0.6])
    assert np.isnan(calibration.loss("binary", np.array([0.0, 1, 0, 1]), p, np.array([0, 0, 1, 1]))).any()


def test_each_half_is_every_other_block() -> None:
    """Of four blocks the second and the fourth, whatever their numbers."""
    p, y = np.array([0.1, 0.2, 0.3, 0.25, 0.15, 0.4]), np.array([0.3, 0.1, 0.9, 0.2, 0.5, 0.4])
    odd = np.array([False, True, True, False, True, False])
    found = calibration.crossed("regression", y, p, np.array([3, 5, 5, 7, 8, 7]))
    assert found[odd] == pytest.approx(calibration.straightened(y[~odd], p[~odd], p[odd]))
    assert found[~odd] == pytest.approx(calibration.straightened(y[odd], p[odd], p[~odd]))
