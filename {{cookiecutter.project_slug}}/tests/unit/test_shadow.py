"""A challenger that only listens."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from {{ cookiecutter.project_slug }}.serving import shadow
from {{ cookiecutter.project_slug }}.serving.metrics import Metrics


class Model:
    """A version that says the same of every row."""

    def __init__(self, digest, score):
        self.digest, self.said = digest, score

    def score(self, rows):
        if self.said is None:
            raise KeyError("a column it does not know")
        return np.full(len(rows), self.said)

    def decide(self, scores):
        return (scores >= 0.5).astype(int).tolist()


@pytest.fixture
def metrics(contract_of):
    """Metrics of a server."""
    return Metrics(contract_of(), 1)


def value(metrics, name, **labels):
    """A figure."""
    return metrics.page.get_sample_value(name, labels) or 0


def compared(metrics, challenger, scores):
    """Offer rows with the champion's scores, and wait until they were looked at."""
    served = {"challenger": SimpleNamespace(version=challenger)} if challenger else {}
    made = shadow.Shadow(SimpleNamespace(served=served), metrics)
    made.offer(Model("old", 0.4), [{}] * len(scores), np.array(scores))
    made.offer(Model("new", 0.4), [{}], np.array([0.4]))  # the challenger itself answered: nothing to compare
    end = time.monotonic() + 5
    while not made.waiting.empty() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.05)
    return made


def test_scores_and_decisions_are_compared(metrics):
    compared(metrics, Model("new", 0.6), [0.4, 0.7, 0.6])
    assert value(metrics, "shadow_decisions_total", same="true") == 2
    assert value(metrics, "shadow_decisions_total", same="false") == 1
    assert value(metrics, "shadow_difference_count") == 3
    assert value(metrics, "shadow_difference_sum") == pytest.approx(0.3)


def test_nobody_is_compared_with_nobody(metrics):
    assert compared(metrics, None, [0.4]).dropped == 0
    assert value(metrics, "shadow_difference_count") == 0


def test_a_challenger_that_fails_harms_nobody(metrics):
    assert compared(metrics, Model("new", None), [0.4]).dropped == 1


def test_what_finds_no_room_is_counted_and_does_not_wait(metrics, monkeypatch):
    monkeypatch.setattr(shadow.Shadow, "work", lambda self: None)
    made = shadow.Shadow(SimpleNamespace(served={}), metrics)
    for _ in range(shadow.ROOM + 2):
        made.offer(Model("old", 0.4), [{}], np.array([0.4]))
    assert made.dropped == 2
