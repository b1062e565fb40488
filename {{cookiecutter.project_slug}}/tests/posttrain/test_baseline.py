"""Gate `baseline`: better than knowing nothing, and not worse than the plain linear model."""

import pytest

from {{ cookiecutter.project_slug }}.gates import intervals, metrics


@pytest.mark.gate("baseline")
def test_the_model_beats_the_baselines(gate, predictions, contract, params, blocks):
    """Paired per row, bounds over blocks: gain on the dummy above 0, gain on linear above minus `linear_margin`."""
    margin = gate.threshold("linear_margin")
    y = predictions["actual"].to_numpy()
    ours = metrics.primary(contract.task, y, metrics.scores(predictions, "predicted", contract))
    for name, floor in (("dummy", 0.0), ("linear", -margin)):
        gain = metrics.primary(contract.task, y, metrics.scores(predictions, name, contract)) - ours
        found = intervals.estimate(gain, blocks, params.gates.confidence)
        reason = f"gain on {name} {found.value:.4g}, bound {found.low:.4g}, must exceed {floor:g}"
        reason += "" if found.low > floor else "; use the simpler model, or find out why this one learns less"
        gate.judge(found.low > floor, case=name, statistic=found.value, bound=found.low, threshold=floor,
                   rows=found.rows, units=found.units, detectable=found.detectable, reason=reason)  # fmt: skip
