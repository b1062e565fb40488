"""Gate `smoke_train`: a small training learns, learns a handful of rows by heart, twice the same, without NaN."""

import numpy as np
import pytest

from {{ cookiecutter.project_slug }} import model
from {{ cookiecutter.project_slug }}.gates import smoke


@pytest.mark.gate("smoke_train")
def test_a_small_training_learns(gate, train, contract, params):
    """The loss on `smoke_rows` rows falls by `min_fall` of the baseline's, and by `min_tiny_fall` on a tiny batch.

    Also: a second training predicts the same, and predictions are finite, for nulls and categories never seen too.
    Overfitting a tiny batch: Karpathy 2019, A Recipe for Training Neural Networks.
    """
    rows = train.iloc[smoke.evenly(len(train), params.pretrain.smoke_rows)]
    fitted, first, fall = smoke.learn(rows, contract, params)
    tiny_fall = smoke.learn(smoke.tiny_batch(rows, contract), contract, params)[2]
    for case, found, limit, count in (
        ("loss falls", fall, gate.threshold("min_fall"), len(rows)),
        ("tiny batch", tiny_fall, gate.threshold("min_tiny_fall"), smoke.TINY),
    ):
        reason = f"{case}: the loss on {count} rows lies {found:.1%} below the baseline's"
        reason += "" if found >= limit else "; check features.py, the target and the estimator's arguments"
        gate.judge(found >= limit, case=case, statistic=found, threshold=limit, rows=count, reason=reason)
    second = model.predict(model.fit(model.build(params.train, contract, params.seed), rows, contract), rows, contract)
    same = bool(np.array_equal(first, second, equal_nan=True))
    gate.judge(same, case="same seed", statistic=float(np.abs(first - second).max()), threshold=0, rows=len(rows),
               reason="two trainings agree" if same else "two trainings differ: set random_state")  # fmt: skip
    for case, harmed in {
        "the rows as they are": rows,
        "every nullable column null": smoke.without_values(rows, contract),
        "categories never seen": smoke.never_seen(rows, contract),
    }.items():
        bad, said = smoke.not_finite(fitted, harmed, contract)
        reason = f"predictions are finite with {case}"
        if bad:
            reason = f"with {case} a prediction {said}: let features.py treat them, or take another estimator"
        gate.judge(not bad, case=case, statistic=bad, threshold=0, rows=len(rows), reason=reason)
