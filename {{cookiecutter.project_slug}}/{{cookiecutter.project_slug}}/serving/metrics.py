"""What Prometheus scrapes at `/metrics`: the four signals, what was asked and answered, and the state of the parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily

if TYPE_CHECKING:
    import numpy as np

    from ..schema import Schema
    from .version import Version

#: Seconds; most answers to one row take less than a millisecond.
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
SHARES = tuple(i / 20 for i in range(1, 21))
DIFFERENCES = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


class Counted:
    """A counter that something else counts: read when Prometheus asks."""

    def __init__(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Its name, what it counts, and where from."""
        self.name, self.what, self.read = name, what, read

    def collect(self) -> list[CounterMetricFamily]:
        """The counter as it stands."""
        return [CounterMetricFamily(self.name, self.what, value=self.read())]


class Metrics:
    """All metrics of one server, in a registry of its own."""

    def __init__(self, contract: Schema, at_once: int) -> None:
        """Names and buckets; `contract` says in what units scores are, `at_once` how many requests are served."""
        self.page = CollectorRegistry()
        ProcessCollector(registry=self.page)

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(name, what, labels, registry=self.page)

        def histogram(name: str, what: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(name, what, labels, buckets=buckets, registry=self.page)

        self.requests = counter("http_requests", "Requests answered", "path", "status")
        self.requests.labels("/predict", "200")  # 0 until somebody asks: what is not there cannot be missed
        self.seconds = histogram("http_request_duration_seconds", "Seconds to the end of the answer", SECONDS, "path")
        Gauge("serve_in_flight_limit", "Requests at work at once, at most", registry=self.page).set(at_once)
        self.predictions = counter("predictions", "Rows scored", "digest")
        self.scores = histogram("prediction_score", "Scores given", score_buckets(contract), "target_class")
        self.nulls = counter("prediction_nulls", "Null inputs", "column")
        self.unseen = counter("prediction_unseen_categories", "Categories that training never saw", "column")
        self.model = Gauge("model_info", "The champion", ["digest", "path"], registry=self.page)
        age = Gauge("model_age_seconds", "Seconds since the champion was made", registry=self.page)
        age.set_function(lambda: time.time() - self.made if self.made else 0.0)
        self.made = 0.0
        self.swaps = counter("model_swaps", "Champions taken into service")
        self.refused = counter("model_refused", "Versions that were not what they claim, and not taken into service")
        self.difference = histogram("shadow_difference", "Challenger's score minus champion's, absolute", DIFFERENCES)
        self.agreement = counter("shadow_decisions", "Decisions of challenger and champion", "same")

    def counted(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Show a counter that another part keeps."""
        self.page.register(Counted(name, what, read))

    def gauge(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Show a level that another part keeps."""
        Gauge(name, what, registry=self.page).set_function(read)

    def champion(self, version: Version, made: float) -> None:
        """A version was taken into service; `made`: seconds since 1970."""
        self.model.clear()
        self.model.labels(version.digest, version.path).set(1)
        self.made = made
        self.swaps.inc()

    def answered(self, version: Version, rows: Sequence[dict[str, Any]], scores: np.ndarray) -> None:
        """Count rows that were scored: (n,) or (n, K) scores."""
        self.predictions.labels(version.digest).inc(len(rows))
        classes = version.contract.classes if scores.ndim == 2 else [""]
        for name, column in zip(classes, scores.reshape(len(rows), -1).T.tolist(), strict=True):
            observe = self.scores.labels(str(name)).observe
            for score in column:
                observe(score)
        for row in rows:
            for name, value in row.items():
                if value is None:
                    self.nulls.labels(name).inc()
            for name, seen in version.categories.items():
                if row[name] is not None and row[name] not in seen:
                    self.unseen.labels(name).inc()


def score_buckets(contract: Schema) -> Sequence[float]:
    """Upper bounds of a histogram of scores: twentieths of a probability, or of the range of a declared target."""
    if contract.classes:
        return SHARES
    target = contract.columns[contract.target]
    if target.min is None or target.max is None:
        powers = [10.0**power for power in range(-3, 7)]
        return (*(-power for power in reversed(powers)), *powers)
    return tuple(target.min + share * (target.max - target.min) for share in SHARES)
