"""Gate `calibration`: predictions mean what they say."""

import pytest

from {{ cookiecutter.project_slug }}.gates import calibration, intervals


@pytest.mark.gate("calibration")
def test_little_is_lost_by_miscalibration(gate, predictions, predicted, contract, params, blocks):
    """The upper bound over blocks of what cross-fitted recalibration (Cox 1958) would win back is at most `at_most`.

    In Brier score, or for regression as a share of the target's variance: the calibration part of a proper score
    (Murphy 1973; DeGroot and Fienberg 1983). The mean of prediction minus outcome is stated, not judged.
    """
    limit = gate.threshold("at_most")
    y = predictions["actual"].to_numpy()
    found = intervals.estimate(calibration.loss(contract.task, y, predicted, blocks), blocks, params.gates.confidence)
    good = found.high <= limit
    off = ", ".join(f"{error:+.3g}" for error in calibration.mean_error(contract.task, y, predicted))
    reason = f"miscalibration costs {found.value:.4g}, bound {found.high:.4g}, limit {limit:.4g}; mean error {off}"
    reason += "" if good else "; look at reports/plots/calibration.csv, regularise, or train on newer rows"
    gate.judge(good, statistic=found.value, bound=found.high, threshold=limit, rows=found.rows, units=found.units,
               detectable=found.detectable, reason=reason)  # fmt: skip
