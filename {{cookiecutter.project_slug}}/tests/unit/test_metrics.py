"""Metrics have the values that others compute, and an error that DeLong would sign."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as known

from {{ cookiecutter.project_slug }}.gates import intervals, metrics


def sample(seed: int, count: int = 300, digits: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and probabilities with many ties."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0, 1, count).round(digits)
    return (rng.uniform(0, 1, count) < 0.2 + 0.5 * p).astype(float), p


def delong(y: np.ndarray, p: np.ndarray) -> float:
    """DeLong's variance of the AUC from the full table of pairs (DeLong et al. 1988)."""
    positive, negative = p[y == 1], p[y == 0]
    pairs = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    return float(pairs.mean(1).var(ddof=1) / len(positive) + pairs.mean(0).var(ddof=1) / len(negative))


def test_losses_have_known_values() -> None:
    """Brier, log loss and accuracy, by hand and against scikit-learn; certainty costs much and not infinity."""
    y, p = np.array([1.0, 0.0, 1.0]), np.array([0.8, 0.4, 0.1])
    assert metrics.brier(y, p) == pytest.approx([0.04, 0.16, 0.81])
    assert metrics.log_loss(y, p).mean() == pytest.approx(known.log_loss(y, p))
    assert metrics.log_loss(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx([34.539, 34.539], rel=1e-3)
    found = metrics.binary(y, p, 0.4, 2.0, 5.0)
    assert found["accuracy"].tolist() == [1.0, 0.0, 0.0]
    assert found["cost"].tolist() == [0.0, 2.0, 5.0]
    assert found["brier"].mean() == pytest.approx(known.brier_score_loss(y, p))


def test_regression_losses_have_their_sign() -> None:
    """A bias above zero is a prediction too high."""
    found = metrics.regression(np.array([1.0, 2.0]), np.array([3.0, 1.5]))
    assert {name: values.tolist() for name, values in found.items()} == {
        "mae": [2.0, 0.5], "mse": [4.0, 0.25], "bias": [2.0, -0.5],
    }  # fmt: skip


@pytest.mark.parametrize("digits", [1, 9])
def test_auc_is_scikit_learns_with_ties_and_without(digits: int) -> None:
    """Its mean over rows; of constant predictions it is one half; of a perfect ranking one."""
    for seed in range(5):
        y, p = sample(seed, digits=digits)
        assert metrics.auc(y, p).mean() == pytest.approx(known.roc_auc_score(y, p))
    assert metrics.auc(y, np.zeros(len(y))).mean() == pytest.approx(0.5)
    assert metrics.auc(y, y).mean() == pytest.approx(1.0)
    assert metrics.auc(np.array([0.0, 1.0, 1.0]), np.array([0.5, 0.4, 0.6])).mean() == pytest.approx(0.5)
    assert metrics.auc(np.array([1.0, 0.0, 0.0]), np.array([0.5, 0.4, 0.6])).mean() == pytest.approx(0.5)
    with warnings.catch_warnings(action="error"):
        assert np.isnan(metrics.auc(np.ones(3), np.arange(3.0))).all()
        assert np.isnan(metrics.auc(np.zeros(3), np.arange(3.0))).all()


def test_a_row_that_is_ranked_well_lifts_the_auc() -> None:
    """By hand: the share of the other class it beats, less the AUC, over its own class's share of the rows."""
    found = metrics.auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.6, 0.5, 0.9]))
    assert found == pytest.approx([1.25, 0.25, 0.25, 1.25])


@pytest.mark.parametrize("digits", [1, 9])
def test_the_error_of_the_auc_is_delongs(digits: int) -> None:
    """To the degrees of freedom, when each row is a block."""
    y, p = sample(11, 800, digits)
    found = intervals.estimate(metrics.auc(y, p), np.arange(800), 0.95)
    assert found.error == pytest.approx(np.sqrt(delong(y, p)), rel=0.005)


def test_the_summary_has_a_bound_on_each_side() -> None:
    """Of every metric, over blocks."""
    y, p = sample(3)
    found = metrics.summary(metrics.binary(y, p, 0.5, 1, 1), np.arange(300) % 30, 0.95, 300)
    assert set(found) == {"brier", "log_loss", "auc", "accuracy", "cost"}
    for name, entry in found.items():
        assert entry["low"] < entry["value"] < entry["high"], name
        assert entry["standard_error"] > 0
    for name, losses in metrics.binary(y, p, 0.5, 1, 1).items():
        expected = intervals.estimate(losses, np.arange(300) % 30, 0.95, 300)
        assert (found[name]["low"], found[name]["high"]) == (expected.low, expected.high)
    assert found["cost"]["value"] == pytest.approx(1 - found["accuracy"]["value"])


@pytest.mark.parametrize("costs", [(1.0, 1.0), (1.0, 3.0), (7.0, 1.0), (1.0, 1000.0), (1000.0, 1.0)])
def test_the_threshold_is_the_cheapest_of_all(costs: tuple[float, float]) -> None:
    """Against every threshold that could be chosen, on predictions with ties and with exact zeros and ones."""
    for seed in range(20):
        y, p = sample(seed, 40, 1 if seed % 2 else 9)

        def cost(threshold: float, y: np.ndarray = y, p: np.ndarray = p) -> float:
            return float(metrics.binary(y, p, threshold, *costs)["cost"].sum())

        best = min(cost(threshold) for threshold in [*np.unique(p), 2.0])
        assert cost(metrics.tuned_threshold(y, p, *costs)) == best


def test_the_threshold_lies_in_the_middle_of_its_gap() -> None:
    """So that the next prediction near it is not decided by the last digit."""
    y, p = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.2, 0.6, 0.9])
    assert metrics.tuned_threshold(y, p, 1, 1) == pytest.approx(0.4)
    assert metrics.tuned_threshold(np.ones(3), np.array([0.4, 0.6, 0.8]), 1, 1) == pytest.approx(0.2)
    assert metrics.tuned_threshold(y, p, 3.0, 0.5) == pytest.approx(0.4)
    assert metrics.tuned_threshold(np.array([1.0, 1.0, 0.0]), np.array([0.9, 0.6, 0.2]), 1, 1) == pytest.approx(0.4)


def test_a_certain_and_wrong_prediction_is_not_chosen() -> None:
    """When "yes" never pays, or pays for itself alone, the threshold lies above 1.0 itself."""
    assert metrics.tuned_threshold(np.array([0.0, 1.0]), np.array([1.0, 0.3]), 1, 1) > 1.0
    assert metrics.tuned_threshold(np.zeros(2), np.array([1.0, 0.3]), 1, 1) > 1.0


CLASSES = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.4, 0.5, 0.1], [0.2, 0.3, 0.5]])


def test_losses_of_several_classes_have_known_values() -> None:
    """By hand and against scikit-learn; a class that does not occur takes no part in the AUC."""
    y = np.array([0.0, 2.0, 0.0, 1.0])
    found = metrics.per_row("multiclass", y, CLASSES)
    assert set(found) == {"brier", "log_loss", "auc", "accuracy"}
    assert found["brier"] == pytest.approx([0.14, 0.26, 0.62, 0.78])
    assert found["brier"].tolist() == metrics.primary("multiclass", y, CLASSES).tolist()
    assert found["log_loss"].mean() == pytest.approx(known.log_loss(y, CLASSES))
    assert found["accuracy"].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert found["auc"].mean() == pytest.approx(known.roc_auc_score(y, CLASSES, multi_class="ovr", average="macro"))
    each = [metrics.auc((y == k).astype(float), CLASSES[:, k]) for k in range(3)]
    assert found["auc"] == pytest.approx(np.mean(each, axis=0))
    two = metrics.per_row("multiclass", np.array([0.0, 2.0, 0.0, 2.0]), CLASSES)["auc"].mean()
    areas = [known.roc_auc_score([1, 0, 1, 0], CLASSES[:, 0]), known.roc_auc_score([0, 1, 0, 1], CLASSES[:, 2])]
    assert two == pytest.approx(np.mean(areas))
    assert np.isnan(metrics.per_row("multiclass", np.ones(4), CLASSES)["auc"]).tolist() == [True] * 4
    assert metrics.per_row("multiclass", np.array([0.0]), np.array([[0.0, 0.0, 1.0]]))["log_loss"][0] < 35


def test_one_door_gives_the_metrics_of_each_task() -> None:
    """Threshold and costs count for a binary task."""
    y, p = np.array([1.0, 0.0]), np.array([0.5, 0.4])
    assert metrics.per_row("binary", y, p, 0.3, 2.0, 5.0)["cost"].tolist() == [0.0, 2.0]
    assert metrics.per_row("binary", y, p)["cost"].tolist() == [0.0, 0.0]
    assert metrics.per_row("binary", y, p - 0.2)["cost"].tolist() == [1.0, 0.0]
    assert metrics.per_row("binary", y, p, 0.4)["cost"].tolist() == [0.0, 1.0]
    assert set(metrics.per_row("regression", y, p)) == {"mae", "mse", "bias"}


def test_scores_are_read_from_the_columns_of_the_task(contract_of) -> None:
    """One, or one per class."""
    table = pd.DataFrame(CLASSES, columns=["predicted.0", "predicted.1", "predicted.2"]).assign(dummy=0.5)
    assert metrics.scores(table, "predicted", contract_of("multiclass")).tolist() == CLASSES.tolist()
    assert metrics.scores(table, "dummy", contract_of()).tolist() == [0.5] * 4


def test_the_primary_metric_is_a_mean_loss() -> None:
    """Brier score or absolute error."""
    y, p = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    assert metrics.primary("binary", y, p).tolist() == [0.25, 0.25]
    assert metrics.primary("regression", y, p).tolist() == [0.5, 0.5]
    assert set(metrics.PRIMARY.values()).isdisjoint(metrics.HIGHER_IS_BETTER)
