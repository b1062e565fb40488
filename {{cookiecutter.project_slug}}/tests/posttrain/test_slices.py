"""Gate `slices`: no part of the data is served worse than knowing nothing."""

import pytest

from {{ cookiecutter.project_slug }}.gates import metrics, slices


@pytest.mark.gate("slices")
def test_every_slice_is_served(gate, predictions, contract, params, blocks):
    """Each slice's gain on the dummy is at least `floor`; slices of `required` columns must be there, with enough rows.

    Red when "at least the floor" is rejected at the gates' confidence after Benjamini and Hochberg (1995) within its
    column, each column at its share of alpha; a slice in which a gain lower by `harm` would seldom be found is
    insufficient, which blocks for required columns alone. The interval shown is of both one-sided bounds.
    """
    floor, harm, required = gate.threshold("floor"), gate.threshold("harm"), gate.threshold("required")
    if unknown := sorted(set(required) - set(params.evaluate.slices)):
        pytest.fail(f"{unknown[0]} is required, but is none of evaluate.slices: mend params.yaml", pytrace=False)
    y = predictions["actual"].to_numpy()
    dummy, ours = (
        metrics.primary(contract.task, y, metrics.scores(predictions, name, contract))
        for name in ("dummy", "predicted")
    )
    gain = dummy - ours
    table = predictions[params.evaluate.slices]
    for name in required:
        for value in slices.absent(table[name], contract.columns[name].values):
            reason = f"{name}={value}: declared, and no row of the test set has it; mend the source, or schema.yaml"
            gate.judge(False, case=f"{name}={value}", rows=0, reason=reason)
    for part in slices.judge(gain, blocks, table, floor, harm, params.gates.confidence):
        blocked = part.verdict == "fail" or (part.verdict == "insufficient" and part.column in required)
        value = part.found.value if part.found else float("nan")
        reason = f"{part.name}: gain {value:.4g}, {part.verdict}"
        if blocked:
            reason += "; look at its rows, or widen the test set"
        elif part.verdict == "insufficient":
            reason += ": too few rows to tell, and not required"
        gate.judge(not blocked, case=part.name, statistic=value, bound=part.found.high if part.found else None,
                   threshold=floor, rows=part.rows, units=part.found.units if part.found else 1,
                   detectable=part.found.detectable if part.found else None, reason=reason,
                   interval=(part.found.low, part.found.high) if part.found else None)  # fmt: skip
