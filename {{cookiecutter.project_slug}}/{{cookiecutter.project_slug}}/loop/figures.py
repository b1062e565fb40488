"""What a walk says: each policy's loss by month, the gated loop against the others, and how fast a model ages."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import config, schema
from ..gates import intervals, metrics

if TYPE_CHECKING:
    import pandas as pd

FROZEN, ALWAYS, GATED = POLICIES = ("frozen", "always", "gated")
#: By how much of the other's mean loss the gated loop may be worse, surely; when things break it must be better.
MARGINS, BROKEN = {ALWAYS: 0.02, FROZEN: 0.01}, 0.0


@dataclass(frozen=True)
class Answers:
    """The rows of every served month, in order, with what each policy said of them.

    `y` (n,); `month` (n,): the number of each row's month; `said`: (n,) or (n, K) by policy.
    """

    rows: pd.DataFrame
    y: np.ndarray
    month: np.ndarray
    said: dict[str, np.ndarray]


def figures(task: str, y: np.ndarray, p: np.ndarray) -> dict[str, float | None]:
    """The mean primary loss and, unless the task is regression, the AUC of predictions; None where it is no number."""
    if task == "regression":
        return {"loss": float(metrics.primary(task, y, p).mean()), "auc": None}
    auc = float(np.mean(metrics.per_row(task, y, p)["auc"]))
    return {"loss": float(metrics.primary(task, y, p).mean()), "auc": auc if np.isfinite(auc) else None}


def by_month(answers: Answers, task: str, index: int) -> dict[str, Any]:
    """The figures of each policy in one month."""
    rows = answers.month == index
    return {name: figures(task, answers.y[rows], said[rows]) for name, said in answers.said.items()}


def compare(answers: Answers, contract: schema.Schema, params: config.Params, faults: bool) -> list[dict[str, Any]]:
    """The gated loop against the others on the same rows: the mean difference in loss relative to the other's mean.

    One-sided bounds over blocks (`gates.resample_by`) at `gates.confidence`. It holds when the upper bound is at most
    the margin; with faults, below 0. Raises InputError for fewer than two blocks.
    """
    blocks = intervals.units(answers.rows, contract, params.gates.resample_by)
    losses = {name: metrics.primary(contract.task, answers.y, said) for name, said in answers.said.items()}
    result = []
    for other, allowed in MARGINS.items():
        scale, margin = float(losses[other].mean()), BROKEN if faults else allowed
        found = intervals.estimate(losses[GATED] - losses[other], blocks, params.gates.confidence,
                                   params.evaluate.replicates)  # fmt: skip
        value, low, high = (bound / scale for bound in (found.value, found.low, found.high))
        holds = high < margin if faults else high <= margin
        result.append({"gated_against": other, "relative": value, "low": low, "high": high, "margin": margin,
                       "holds": bool(holds)})  # fmt: skip
    return result


def staleness(rows: list[pd.DataFrame], said: dict[tuple[int, int], np.ndarray], ages: dict[tuple[int, int], float],
              contract: schema.Schema, params: config.Params) -> dict[str, Any]:  # fmt: skip
    """By how much a model's loss exceeds that of the newest model on the same rows, by its age when it serves.

    `rows`: of each month; `said`: what model i says of month j, by (i, j); `ages`: days from that model's newest
    training row to the end of that month, which is the age that the monitor looks at. Models as many months older than
    the newest are taken together. `interval_days`: the largest age before the excess may pass the margin.
    """
    import pandas as pd

    pooled = pd.concat(rows)
    blocks = np.split(intervals.units(pooled, contract, params.gates.resample_by), np.cumsum([*map(len, rows)])[:-1])
    y = [contract.encode_target(frame[contract.target]).to_numpy() for frame in rows]
    margin, curve = params.promote.non_inferiority_margin, []

    def loss(i: int, j: int) -> np.ndarray:
        return metrics.primary(contract.task, y[j], said[i, j])

    for late in range(len(rows)):
        served = range(late, len(rows))
        excess = [loss(j - late, j) - loss(j, j) for j in served]
        units = np.concatenate([blocks[j] for j in served])
        if len(np.unique(units)) < 2:
            break
        found = intervals.estimate(np.concatenate(excess), units, params.gates.confidence, params.evaluate.replicates)
        age = float(np.mean([ages[j - late, j] for j in served]))
        curve.append({"age_days": round(age), "excess": found.value, "low": found.low, "high": found.high})
    fresh = [*takewhile(lambda point: point["high"] <= margin, curve)]
    return {"curve": curve, "interval_days": fresh[-1]["age_days"] if fresh else None, "margin": margin}
