"""Gate `target_leak`: no feature knows the answer."""

import pytest

from {{ cookiecutter.project_slug }}.gates import intervals, leakage


@pytest.mark.gate("target_leak")
def test_no_feature_gives_the_target_away(gate, train, contract, params):
    """No outcome column reached training, and no single feature separates the classes better than `max_auc`.

    A feature that honestly does is listed under `accept` with its reason: `accept: {column: reason}`.
    """
    limit, accepted = gate.threshold("max_auc"), gate.threshold("accept")
    outcomes = sorted(set(contract.named("outcome")) & set(train.columns))
    gate.judge(not outcomes, case="outcomes", statistic=len(outcomes), threshold=0, rows=len(train),
               reason=f"outcome columns in the training rows: {', '.join(outcomes) or 'none'}")  # fmt: skip
    blocks = intervals.units(train, contract, params.gates.resample_by)
    for name, strength in leakage.single_feature_strength(train, contract, blocks).items():
        reason = f"{name} alone has AUC {strength:.3f}"
        good = strength <= limit or name in accepted
        if name in accepted:
            reason += f" (accepted: {accepted[name]})"
        elif not good:
            reason += "; give it role: outcome, or its reason under gates.pretrain.target_leak.accept"
        gate.judge(good, case=name, statistic=strength, threshold=limit, rows=len(train), reason=reason)
