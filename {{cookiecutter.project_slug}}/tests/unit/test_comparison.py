"""The tests over blocks that a challenger must pass, and how much luck each look may spend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import config
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import intervals
from {{ cookiecutter.project_slug }}.registry import comparison


def facts(**changes: str) -> dict[str, str]:
    return {"digest": str(changes), "recipe": "r", "train_until": "2020-02-01", "train_sha256": "t"} | changes


@pytest.mark.parametrize(
    ("challenger", "champion", "kind"),
    [
        (facts(train_until="2020-03-01"), facts(), "non_inferior"),
        (facts(digest="c"), facts(), "superior"),
        (facts(recipe="s", digest="d"), facts(recipe="t", digest="d"), "non_inferior"),
        (facts(train_until="2020-01-01"), facts(), "superior"),
        (facts(recipe="s", train_until="2020-03-01"), facts(), "superior"),
        (facts(train_until="", train_sha256="u"), facts(train_until=""), "non_inferior"),
        (facts(train_until="", digest="c"), facts(train_until=""), "superior"),
    ],
)
def test_mode(challenger, champion, kind):
    assert comparison.mode(challenger, champion) == kind


def sample() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    p = rng.uniform(0.2, 0.8, 2000)
    return (rng.uniform(size=2000) < p).astype(float), p, np.repeat(np.arange(100), 20)


def verdicts_of(ours: Any, rivals: dict[str, Any], task: str = "binary", **promote: Any) -> list[comparison.Comparison]:
    y, _, blocks = sample()
    defaults: dict[str, Any] = {"non_inferiority_margin": 0.01, "guardrails": {}, "min_rows": 1, "min_units": 2}
    given = config.Promote(**(defaults | promote))
    return comparison.verdicts("non_inferior", task, given, y, ours, rivals, blocks, 0.05)


@pytest.mark.parametrize(("kind", "floor"), [("superior", 0.0), ("non_inferior", -0.01)])
@pytest.mark.parametrize(("task", "primary", "watched"), [("binary", "brier", "auc"), ("regression", "mae", "mse")])
def test_each_test_has_its_gate_its_name_and_its_floor(kind, floor, task, primary, watched):
    """Equal models: the champion is not beaten, nothing is lost on the guardrail or against the anchor."""
    y, p, blocks = sample()
    given = config.Promote(non_inferiority_margin=0.01, guardrails={watched: 0.02}, min_rows=1, min_units=2)
    found = comparison.verdicts(kind, task, given, y, p, {"champion": p, "anchor 1": p}, blocks, 0.05)
    assert [(one.gate, one.test, one.metric, one.margin, one.passed) for one in found] == [
        (kind, f"champion {kind}", primary, floor, kind == "non_inferior"),
        ("guardrail", "guardrail", watched, -0.02, True),
        ("anchor", "anchor 1 non_inferior", primary, -0.01, True),
    ]


def test_a_test_says_what_it_could_have_seen_and_later_looks_get_more_replicates(monkeypatch):
    """20 / alpha of them, up to what fits into memory; few large losses, so that the bootstrap decides the bound."""
    gain, blocks = np.repeat(-np.random.default_rng(3).exponential(1, 40), 2), np.repeat(np.arange(40), 2)
    monkeypatch.setattr(intervals, "DRAWS", 40 * 12_000)
    for alpha, replicates in ((0.05, 2000), (0.002, 10_000), (0.0001, 12_000)):
        found = comparison.compare("superior", "t", "brier", gain, blocks, 0.0, alpha, superior=True)
        expected = intervals.estimate(gain, blocks, 1 - alpha, replicates)
        assert (found.gain, found.bound, found.detectable) == (expected.value, expected.low, expected.detectable)


def test_the_shares_of_all_looks_add_up():
    """alpha / (n (n + 1)) for the n-th."""
    assert [comparison.alpha_of_look(0.06, look) for look in (1, 2, 3)] == pytest.approx([0.03, 0.01, 0.005])
    spent = sum(comparison.alpha_of_look(0.05, look) for look in range(1, 10_000))
    assert spent == pytest.approx(0.05, rel=1e-3)
    assert spent < 0.05


def test_an_earlier_look_counts_by_the_rows_it_shares():
    times = pd.Series(pd.date_range("2020-01-01", periods=4))
    window = ("2020-01-02", "2020-01-03 00:00:00")
    assert comparison.number_of_look(times, [window, ("2020-01-04", "2021-01-01")]) == 1.75
    assert comparison.number_of_look(None, [("", ""), window]) == 3


def test_small_losses_do_not_add_up_because_the_anchor_remembers():
    _, p, _ = sample()
    champion, ours = np.clip(p + 0.1, 0, 1), np.clip(p + 0.13, 0, 1)
    against_champion, against_anchor = verdicts_of(ours, {"champion": champion, "anchor 1": p})
    assert against_champion.passed
    assert against_anchor.test == "anchor 1 non_inferior"
    assert not against_anchor.passed


def test_a_guardrail_closes_on_its_own_metric_and_one_nobody_knows_is_named():
    y, p, _ = sample()
    primary, auc = verdicts_of(1 - p, {"champion": p}, non_inferiority_margin=1.0, guardrails={"auc": 0.02})
    assert primary.passed
    assert not auc.passed
    assert auc.gain < -0.1
    wrong = config.Promote(non_inferiority_margin=0, guardrails={"auc": 0.02}, min_rows=1, min_units=2)
    comparison.require_guardrails("binary", wrong)
    with pytest.raises(InputError, match=r"promote.guardrails: auc is none of mae, mse"):
        comparison.require_guardrails("regression", wrong)


def test_regression_compares_absolute_errors():
    y, p, _ = sample()
    (found,) = verdicts_of(y + 0.5, {"champion": y + 0.25}, task="regression")
    assert (found.metric, found.gain, found.passed) == ("mae", pytest.approx(-0.25), False)


def test_a_later_look_asks_for_more(monkeypatch):
    y, p, blocks = sample()
    gain = comparison.gains("binary", y, np.clip(p + 0.1, 0, 1), p, "brier")
    bounds = [
        comparison.compare(
            "superior", "t", "brier", gain, blocks, 0.0, comparison.alpha_of_look(0.05, look), True
        ).bound
        for look in (1, 3, 12)
    ]
    assert bounds == sorted(bounds, reverse=True)
    assert len(set(bounds)) == 3


def test_equal_models_win_by_luck_no_more_often_than_alpha():
    """Day effects shared by 20 rows: a row-wise test would let through several times alpha."""
    rng = np.random.default_rng(2)
    blocks = np.repeat(np.arange(30), 20)
    won = 0
    for _ in range(200):
        gain = np.repeat(rng.normal(size=30), 20) + 0.1 * rng.normal(size=600)
        won += comparison.compare("superior", "t", "brier", gain, blocks, 0.0, 0.05, superior=True).passed
    assert won <= 20
