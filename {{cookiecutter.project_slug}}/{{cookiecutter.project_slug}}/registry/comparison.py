"""The statistics of a promotion: gains per row, tests over blocks, and how much luck each look may spend.

Every comparison on the same test rows spends some of the 5 % that a useless change may win by luck. The n-th
one gets alpha / (n (n + 1)), which adds up to alpha over any number of looks. An earlier comparison on part of
the rows counts as that part of a look, so that moving the window a little does not buy a fresh alpha.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .. import config
from ..errors import InputError
from ..gates import intervals, metrics

if TYPE_CHECKING:
    import pandas as pd

#: What a guardrail may watch: metrics that need no decision threshold, which two models do not share.
GUARDRAILS = {task: ("brier", "log_loss", "auc") for task in ("binary", "multiclass")} | {"regression": ("mae", "mse")}


@dataclass(frozen=True)
class Comparison:
    """One test of the challenger. `gate`: the rule behind it. `gain`: in the metric's unit, positive is better."""

    gate: str
    test: str
    metric: str
    gain: float
    bound: float
    margin: float
    detectable: float
    passed: bool


def alpha_of_look(alpha: float, look: float) -> float:
    """The share of `alpha` that the look-th comparison (from 1) on the same rows may spend."""
    return alpha / (look * (look + 1))


def number_of_look(times: pd.Series | None, earlier: list[tuple[str, str]]) -> float:
    """1 plus, for each earlier comparison, the share of our rows that lie in its window (first and last time).

    `times` (n,) are those of the rows compared; without a time column every earlier comparison counts whole.
    """
    if times is None:
        return 1.0 + len(earlier)
    return 1.0 + sum(float(times.between(first, last).mean()) for first, last in earlier)


def mode(challenger: dict[str, str], champion: dict[str, str]) -> str:
    """`non_inferior` for the champion's recipe on newer rows, else `superior`.

    The champion's own model, decided on by another threshold or contract, cannot be superior.
    """
    if challenger["digest"] == champion["digest"]:
        return "non_inferior"
    same = challenger["recipe"] == champion["recipe"]
    newer = challenger["train_until"] > champion["train_until"]
    undated = not challenger["train_until"] and challenger["train_sha256"] != champion["train_sha256"]
    return "non_inferior" if same and (newer or undated) else "superior"


def require_guardrails(task: str, promote: config.Promote) -> None:
    """Raise InputError for a guardrail on a metric that this task does not have."""
    unknown = sorted(set(promote.guardrails) - set(GUARDRAILS[task]))
    if unknown:
        known = ", ".join(GUARDRAILS[task])
        raise InputError(f"params.yaml: promote.guardrails: {unknown[0]} is none of {known}: mend it for a {task} task")


def gains(task: str, y: np.ndarray, theirs: np.ndarray, ours: np.ndarray, metric: str) -> np.ndarray:
    """Per row, by how much `ours` is better than `theirs` on `metric`; shape (n,)."""
    values = [metrics.per_row(task, y, p)[metric] for p in (theirs, ours)]
    return values[1] - values[0] if metric in metrics.HIGHER_IS_BETTER else values[0] - values[1]


def compare(gate: str, name: str, metric: str, gain: np.ndarray, blocks: np.ndarray, margin: float, alpha: float,
            superior: bool) -> Comparison:  # fmt: skip
    """Test the mean `gain` (n,) over blocks: above 0 when it must be superior, else above minus the margin.

    A later look asks for a farther quantile, and gets the replicates to find it.
    """
    found = intervals.estimate(gain, blocks, 1 - alpha, intervals.replicates_for(alpha, blocks))
    floor = 0.0 if superior else -margin
    return Comparison(gate, name, metric, found.value, found.low, floor, found.detectable, found.low > floor)


def verdicts(kind: str, task: str, promote: config.Promote, y: np.ndarray, ours: np.ndarray,
             rivals: dict[str, np.ndarray], blocks: np.ndarray, alpha: float) -> list[Comparison]:  # fmt: skip
    """Every test the challenger's predictions `ours` (n,) must pass; `rivals`: the champion's first, then the anchor's.

    The champion on the primary metric and the guardrails; the anchor, the version that last won by superiority, on
    the primary metric, so that small losses cannot add up.
    """
    primary, margin = metrics.PRIMARY[task], promote.non_inferiority_margin
    champion, *anchors = rivals
    gain = gains(task, y, rivals[champion], ours, primary)
    tests = [compare(kind, f"{champion} {kind}", primary, gain, blocks, margin, alpha, kind == "superior")]
    for metric, allowed in promote.guardrails.items():
        gain = gains(task, y, rivals[champion], ours, metric)
        tests.append(compare("guardrail", "guardrail", metric, gain, blocks, allowed, alpha, superior=False))
    for name in anchors:
        gain = gains(task, y, rivals[name], ours, primary)
        tests.append(compare("anchor", f"{name} non_inferior", primary, gain, blocks, margin, alpha, superior=False))
    return tests
