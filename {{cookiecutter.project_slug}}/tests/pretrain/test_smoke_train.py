"""Gate `smoke_train`: a small training learns something, twice the same, without NaN."""

import numpy as np
import pytest

from {{ cookiecutter.project_slug }} import model
from {{ cookiecutter.project_slug }}.gates import metrics


@pytest.mark.gate("smoke_train")
def test_a_small_training_learns(gate, train, contract, params):
    """The loss on `smoke_rows` rows falls by `min_fall` of the baseline's; a second training predicts the same."""
    limit = gate.threshold("min_fall")
    picked = np.unique(np.linspace(0, len(train) - 1, min(params.pretrain.smoke_rows, len(train))).astype(int))
    rows = train.iloc[picked]
    y = contract.encode_target(rows[contract.target]).to_numpy()
    dummy = model.fit(model.baseline("dummy", params.train, contract, params.seed), rows, contract)
    fitted = [model.fit(model.build(params.train, contract, params.seed), rows, contract) for _ in range(2)]
    first, second = (model.predict(pipeline, rows, contract) for pipeline in fitted)
    before = metrics.primary(contract.task, y, model.predict(dummy, rows, contract)).mean()
    after = metrics.primary(contract.task, y, first).mean()
    fall = 1 - after / before
    finite = bool(np.isfinite(first).all())
    gate.judge(finite, case="finite", statistic=float((~np.isfinite(first)).sum()), threshold=0, rows=len(rows),
               reason="predictions are finite" if finite else "predictions hold NaN: check features.py")  # fmt: skip
    same = bool(np.array_equal(first, second))
    gate.judge(same, case="same seed", statistic=float(np.abs(first - second).max()), threshold=0, rows=len(rows),
               reason="two trainings agree" if same else "two trainings differ: set random_state")  # fmt: skip
    reason = f"the loss falls by {fall:.1%} of the baseline's {before:.4g}"
    reason += "" if fall >= limit else "; check features.py, the target and the estimator's arguments"
    gate.judge(fall >= limit, case="loss falls", statistic=fall, threshold=limit, rows=len(rows), reason=reason)
