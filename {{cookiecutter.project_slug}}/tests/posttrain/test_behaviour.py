"""Gate `behaviour`: predictions move the way an expert would insist on."""

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import model, record
from {{ cookiecutter.project_slug }}.gates import verdict
from {{ cookiecutter.project_slug }}.registry import artefact
from {{ cookiecutter.project_slug }}.stages import validate


@pytest.mark.gate("behaviour")
def test_predictions_move_the_right_way(gate, test, contract, params):
    """For each direction, the share of cases that move wrongly by more than `tolerance` is small enough."""
    limit, tolerance = gate.threshold("max_failure_rate"), gate.threshold("tolerance")
    fitted = artefact.load(verdict.MODEL, record.read_json(verdict.TRAINING)["digest"])
    picked = np.unique(np.linspace(0, len(test) - 1, min(params.posttrain.cases, len(test))).astype(int))
    rows = test.iloc[picked]
    for direction in params.posttrain.directions:
        moved = []
        for value in (direction.low, direction.high):
            column = validate.cast(pd.Series([value] * len(rows)), contract.columns[direction.column])
            changed = rows.assign(**{direction.column: column.to_numpy()})
            moved.append(model.predict(fitted, changed, contract))
        change = (moved[1] - moved[0]) * (1 if direction.expect == "up" else -1)
        rate = float((change < -tolerance).mean())
        alive = bool((change > 0).any())
        reason = f"{direction.column} from {direction.low} to {direction.high}: {rate:.2%} of cases move wrongly"
        reason += "" if alive else ", and none moves at all"
        reason += "" if rate <= limit and alive else "; check features.py and the estimator's constraints"
        gate.judge(rate <= limit and alive, case=direction.column, statistic=rate, threshold=limit, rows=len(rows),
                   reason=reason)  # fmt: skip
