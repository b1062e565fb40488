"""Gate `threshold`: the model is good enough in itself."""

import pytest

from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.gates import intervals, metrics, verdict


@pytest.mark.gate("threshold")
def test_the_metric_is_good_enough(gate, predictions, contract, params, blocks):
    """The one-sided bound of `metric` over blocks is on the right side of `at_most` (a loss) or `at_least`."""
    name = gate.threshold("metric")
    higher = name in metrics.HIGHER_IS_BETTER
    limit = gate.threshold("at_least" if higher else "at_most")
    y, p = predictions["actual"].to_numpy(), metrics.scores(predictions, "predicted", contract)
    cut, cost = record.read_json(verdict.TRAINING)["threshold"], params.train.cost
    losses = metrics.per_row(contract.task, y, p, 0.5 if cut is None else cut, cost.false_positive, cost.false_negative)
    found = intervals.estimate(losses[name], blocks, params.gates.confidence)
    bound = found.low if higher else found.high
    good = bound >= limit if higher else bound <= limit
    reason = f"{name} {found.value:.4g}, bound {bound:.4g}, limit {limit:.4g}"
    reason += "" if good else "; the model is not good enough, or the test set too small to show that it is"
    gate.judge(good, statistic=found.value, bound=bound, threshold=limit, rows=found.rows, units=found.units,
               detectable=found.detectable, reason=reason)  # fmt: skip
