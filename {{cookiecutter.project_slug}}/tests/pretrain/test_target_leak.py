"""Gate `target_leak`: no feature knows the answer, and no two of them together."""

import pytest

from {{ cookiecutter.project_slug }}.gates import intervals, strength


@pytest.mark.gate("target_leak")
def test_no_feature_gives_the_target_away(gate, train, contract, params):
    """No outcome column reached training, and no feature separates the classes better than `max_auc`, nor do all
    together better than `max_joint_auc`.

    Alone: area under the ROC curve of the feature's order and of its bins' class shares. Together: of boosted trees
    and of least squares, since a leak split over two columns (an exclusive or, a sum) shows in no single one. Learned
    on half the blocks and scored on the others (Kaufman et al. 2012, Leakage in Data Mining: what predicts too well
    is suspect). A feature that honestly does is listed under `accept` with its reason: `accept: {column: reason}`.
    """
    accepted, blocks = gate.threshold("accept"), intervals.units(train, contract, params.gates.resample_by)
    outcomes = sorted(set(contract.named("outcome")) & set(train.columns))
    reason = f"outcome columns in the training rows: {', '.join(outcomes) or 'none'}"
    reason += "; drop them in the split" if outcomes else ""
    gate.judge(not outcomes, case="outcomes", statistic=len(outcomes), threshold=0, rows=len(train), reason=reason)
    limit = gate.threshold("max_auc")
    for name, auc in strength.alone(train, contract, blocks).items():
        reason = f"{name} alone has AUC {auc:.3f}"
        good = auc <= limit or name in accepted
        if name in accepted:
            reason += f" (accepted: {accepted[name]})"
        elif not good:
            reason += "; give it role: outcome, or its reason under gates.pretrain.target_leak.accept"
        gate.judge(good, case=name, statistic=auc, threshold=limit, rows=len(train), reason=reason)
    names = [name for name in contract.inputs if name not in accepted]
    judge_together(gate, train, contract, blocks, names)


def judge_together(gate, train, contract, blocks, names):
    """Judge what the features `names` tell together; when red, name the two whose shuffling costs most."""
    limit = gate.threshold("max_joint_auc")
    auc, fits = strength.together(strength.probe(train, contract, blocks, names))
    reason = f"the features together have AUC {auc:.3f}"
    if auc > limit:
        most = strength.telling(fits, list(strength.views(train, contract, names)))
        reason += f", most of it from {' and '.join(most)}; give what is known only afterwards"
        reason += " role: outcome, or its reason under gates.pretrain.target_leak.accept"
    gate.judge(auc <= limit, case="joint", statistic=auc, threshold=limit, rows=min(len(train), strength.ROWS),
               reason=reason)  # fmt: skip
