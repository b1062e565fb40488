"""What a server counts of rows and scores."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from {{ cookiecutter.project_slug }}.serving import metrics


def test_scores_nulls_and_unseen_categories(contract_of):
    found = metrics.Metrics(contract_of(), 4)
    version = SimpleNamespace(digest="d", contract=contract_of(), categories={"place": frozenset("ab")})
    rows = [{"place": "a", "size": None}, {"place": "c", "size": 1.0}, {"place": None, "size": None}]
    found.answered(version, rows, np.array([0.04, 0.5, 0.96]))
    value = found.page.get_sample_value
    assert value("predictions_total", {"digest": "d"}) == 3
    assert value("prediction_nulls_total", {"column": "size"}) == 2
    assert value("prediction_nulls_total", {"column": "place"}) == 1
    assert value("prediction_unseen_categories_total", {"column": "place"}) == 1
    assert value("prediction_score_bucket", {"target_class": "", "le": "0.05"}) == 1
    assert value("prediction_score_bucket", {"target_class": "", "le": "0.5"}) == 2


def test_each_class_has_its_scores(contract_of):
    contract = contract_of("multiclass")
    found = metrics.Metrics(contract, 4)
    version = SimpleNamespace(digest="d", contract=contract, categories={})
    found.answered(version, [{}], np.array([[0.2, 0.7, 0.1]]))
    assert found.page.get_sample_value("prediction_score_sum", {"target_class": "long"}) == pytest.approx(0.7)


def test_a_champion_replaces_the_one_before(contract_of):
    found = metrics.Metrics(contract_of(), 4)
    assert found.page.get_sample_value("model_age_seconds") == 0
    for digest in ("a", "b"):
        found.champion(SimpleNamespace(digest=digest, path="arrays"), metrics.time.time() - 100)
    assert found.page.get_sample_value("model_info", {"digest": "a", "path": "arrays"}) is None
    assert found.page.get_sample_value("model_info", {"digest": "b", "path": "arrays"}) == 1
    assert 100 <= found.page.get_sample_value("model_age_seconds") < 110
    assert found.page.get_sample_value("model_swaps_total") == 2


def test_buckets_are_in_the_units_of_the_score(contract_of):
    assert metrics.score_buckets(contract_of())[-1] == 1
    bounded = contract_of("regression", minutes={"min": -10, "max": 90})
    assert metrics.score_buckets(bounded)[0] == -5
    assert metrics.score_buckets(bounded)[-1] == 90
    powers = metrics.score_buckets(contract_of("regression"))
    assert list(powers) == sorted(powers)
    assert powers[0] == -powers[-1] == -1e6


def test_what_another_part_counts_is_read_when_asked(contract_of):
    found, count = metrics.Metrics(contract_of(), 4), [0]
    found.counted("drops", "Dropped", lambda: count[0])
    found.gauge("level", "Level", lambda: 2 * count[0])
    count[0] = 3
    assert (found.page.get_sample_value("drops_total"), found.page.get_sample_value("level")) == (3, 6)
