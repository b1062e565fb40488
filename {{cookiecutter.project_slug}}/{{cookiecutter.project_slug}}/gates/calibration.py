"""What a model loses by being miscalibrated: its loss less the loss after recalibration.

A proper score splits into calibration and refinement (Murphy 1973; DeGroot and Fienberg 1983). The calibration part
is what recalibrating would win back: logistic with intercept and slope for probabilities (Cox 1958; logistic
recalibration), a straight line for numbers. The map is fitted on the even blocks and applied to the odd ones and
the other way round, so that it wins nothing by fitting noise: a calibrated model loses about nothing, or less.
"""

from __future__ import annotations

import numpy as np

from ..errors import InputError

#: Probabilities are kept this far from 0 and 1: their log-odds must be finite.
EDGE = 1e-9
#: Weight, in rows, of "no recalibration" in the logistic fit: it settles what a constant prediction or a perfect
#: separation leaves open, and nothing else.
WEIGHT = 1.0


def log_odds(p: np.ndarray) -> np.ndarray:
    """The log-odds of probabilities, same shape, finite at 0 and 1."""
    q = np.clip(p, EDGE, 1 - EDGE)
    found: np.ndarray = np.log(q) - np.log1p(-q)
    return found


def logistic(y: np.ndarray, p: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of outcomes y in {0, 1} on the log-odds of p, both (n,); (0, 1) is calibrated (Cox 1958).

    Maximum likelihood, with a ridge of `WEIGHT` around (0, 1).
    """
    from scipy import optimize, special

    inputs = np.column_stack([np.ones(len(p)), log_odds(p)])
    calibrated = np.array([0.0, 1.0])

    def objective(line: np.ndarray) -> tuple[float, np.ndarray]:
        z, pull = inputs @ line, WEIGHT * (line - calibrated)
        loss = float((np.logaddexp(0, z) - y * z).sum() + pull @ (line - calibrated) / 2)
        return loss, inputs.T @ (special.expit(z) - y) + pull

    found = optimize.minimize(objective, calibrated, jac=True, method="BFGS").x
    return float(found[0]), float(found[1])


def recalibrated(y: np.ndarray, p: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Probabilities `new` (m,) by the logistic map that outcomes y ask for on p, both (n,)."""
    from scipy import special

    intercept, slope = logistic(y, p)
    found: np.ndarray = special.expit(intercept + slope * log_odds(new))
    return found


def straightened(y: np.ndarray, p: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Numbers `new` (m,) by the least-squares line of y on p, both (n,); the mean of y when p is constant."""
    spread = p - p.mean()
    power = float(spread @ spread)
    slope = float(spread @ y) / power if power > 0 else 0.0
    found: np.ndarray = y.mean() + slope * (new - p.mean())
    return found


def crossed(task: str, y: np.ndarray, p: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Each row's recalibrated prediction, by the map of the blocks of the other parity; all of shape (n,).

    Raises InputError for fewer than two blocks.
    """
    _, order = np.unique(blocks, return_inverse=True)
    odd = order % 2 == 1
    if not odd.any():
        raise InputError("calibration needs two units of resampling or more: widen the window or gates.resample_by")
    change = straightened if task == "regression" else recalibrated
    result = np.empty(len(p))
    for half in (odd, ~odd):
        result[half] = change(y[~half], p[~half], p[half])
    return result


def columns(task: str, y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and predictions as (n, k): one column, or one per class against the rest for a multiclass task."""
    if task == "multiclass":
        return np.eye(p.shape[1])[y.astype(int)], p
    return y[:, None], p[:, None]


def loss(task: str, y: np.ndarray, p: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """What each row loses by miscalibration, (n,): in Brier score, or as a share of the target's variance.

    A multiclass task sums over one-against-the-rest, as its Brier score does. The recalibrated probabilities are
    not made to add up to one: a class that is right would else be moved by its neighbours' maps, and each class's
    loss could no longer be read on its own. Raises InputError for fewer than two blocks.
    """
    actual, said = columns(task, y, p)
    after = np.column_stack([crossed(task, actual[:, k], said[:, k], blocks) for k in range(said.shape[1])])
    lost: np.ndarray = ((said - actual) ** 2 - (after - actual) ** 2).sum(axis=1)
    return lost / y.var() if task == "regression" else lost


def mean_error(task: str, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Mean of prediction minus outcome: shape (1,), or (K,) by class."""
    actual, said = columns(task, y, p)
    found: np.ndarray = (said - actual).mean(axis=0)
    return found
