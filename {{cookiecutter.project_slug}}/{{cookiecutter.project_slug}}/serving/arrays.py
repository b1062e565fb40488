"""Fitted steps of scikit-learn as functions from array to array, made once, without the checks of each call.

To add a step, write its function and name its class in STEPS or ESTIMATORS; it must give what the step gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

#: (n, k) in; a transformer gives (n, k'), an estimator what predict_proba or predict gives.
Function: TypeAlias = Callable[[Any], np.ndarray]
#: Rows times nodes per tree above which boosting itself is faster than its trees here, measured.
CROSSING = 2500


class UnknownStepError(ValueError):
    """A step, or a setting of one, that has no function here."""


def name(step: Any) -> str:
    """The class of a step of scikit-learn's own; empty for any other, which may do what it likes."""
    return type(step).__name__ if type(step).__module__.startswith("sklearn.") else ""


def transformer(step: Any) -> Function:
    """The function of a fitted transformer. Raises UnknownStepError."""
    if name(step) not in STEPS:
        raise UnknownStepError(type(step).__name__)
    return STEPS[name(step)](step)


def estimator(step: Any) -> Function:
    """The function of a fitted estimator, of whatever class."""
    return ESTIMATORS.get(name(step), itself)(step)


def chain(steps: Sequence[tuple[str, Any]]) -> Function:
    """Named steps, one after the other. Raises UnknownStepError."""
    functions = [transformer(step) for _, step in steps if step not in ("passthrough", None)]

    def run(x: np.ndarray) -> np.ndarray:
        for function in functions:
            x = function(x)
        return x

    return run


def call(step: Any) -> Function:
    """FunctionTransformer: the function itself, given an array."""
    if step.validate:
        raise UnknownStepError("validate")
    arguments, function = step.kw_args or {}, step.func or (lambda x: x)
    return lambda x: np.asarray(function(np.asarray(x), **arguments), dtype="float64")


def encoder(step: Any) -> Function:
    """OrdinalEncoder, OneHotEncoder: per column, a table of what the encoder says of each category that it knows.

    It is asked once for all of them, for one that it does not know and for a null, so that whatever it makes of rare,
    unknown and missing ones is its own answer.
    """
    import pandas as pd

    known = [[value for value in values if value == value and value is not None] for values in step.categories_]
    if np.dtype(step.dtype) != float or not all(isinstance(value, str) for values in known for value in values):
        raise UnknownStepError("categories")
    asked = [[*values, max(values, key=len, default="") + "?", None] for values in known]
    most = max(map(len, asked))
    columns = [pd.array(values + [None] * (most - len(values)), dtype="str") for values in asked]
    told = step.transform(pd.DataFrame(dict(zip(step.feature_names_in_, columns, strict=True))))
    widths = getattr(step, "_n_features_outs", [1] * len(known))
    answers = np.split(np.asarray(told, dtype="float64"), np.cumsum(widths)[:-1], axis=1)
    places = [{value: i for i, value in enumerate(values)} for values in known]

    def find(place: dict[str, int], values: Any) -> np.ndarray:
        unknown, null = len(place), len(place) + 1
        return np.array([place.get(v, unknown) if v is not None and v == v else null for v in values], dtype=np.intp)

    def look_up(x: Any) -> np.ndarray:
        if isinstance(x, np.ndarray):
            rows = [find(place, x[:, i]) for i, place in enumerate(places)]
        else:  # once per distinct value; factorize calls a null -1, here the last
            distinct = [pd.factorize(x[column]) for column in x]
            rows = [find(place, [*v, None])[codes] for place, (codes, v) in zip(places, distinct, strict=True)]
        return np.hstack([answer[row] for answer, row in zip(answers, rows, strict=True)])

    return look_up


def imputer(step: Any) -> Function:
    """SimpleImputer: nulls by a constant per column, then a column for each whose nulls are marked."""
    statistics = np.asarray(step.statistics_, dtype="float64")
    kept = np.flatnonzero(~np.isnan(statistics))
    marked = step.indicator_.features_ if step.add_indicator else np.empty(0, dtype=int)
    if not np.isnan(step.missing_values):
        raise UnknownStepError("missing_values")

    def fill(x: np.ndarray) -> np.ndarray:
        null = np.isnan(x)
        return np.hstack([np.where(null, statistics, x)[:, kept], null[:, marked]])

    return fill


def scaler(step: Any) -> Function:
    """StandardScaler."""
    mean = step.mean_ if step.with_mean else 0.0
    scale = step.scale_ if step.with_std else 1.0
    return lambda x: (x - mean) / scale


def itself(step: Any) -> Function:
    """Any estimator: its own prediction, of the table of features that it was fitted on."""
    import pandas as pd

    names = getattr(step, "feature_names_in_", None)
    predict = getattr(step, "predict_proba", None) or step.predict
    return lambda x: np.asarray(predict(x if names is None else pd.DataFrame(x, columns=names)), dtype="float64")


def linear(step: Any) -> Function:
    """LogisticRegression, Ridge, LinearRegression: a product; what is not finite the estimator refuses itself."""
    from scipy.special import expit, softmax

    weights, intercept, own = step.coef_.T, step.intercept_, itself(step)
    classes = len(getattr(step, "classes_", ()))

    def predict(x: np.ndarray) -> np.ndarray:
        if not np.isfinite(x).all():
            return own(x)
        raw = np.asarray(x @ weights + intercept)
        if classes > 2:
            return np.asarray(softmax(raw, axis=1))
        return np.asarray(expit(np.hstack([-raw, raw]))) if classes else raw

    return predict


def boosting(step: Any) -> Function:
    """HistGradientBoosting: for few rows all trees at once, for many the estimator itself; equal to the last bit.

    Every inner node of every tree is compared, which gives each node its successor; from the roots on, as many jumps
    as the deepest tree has levels end in the leaves, which succeed themselves.
    """
    own = itself(step)
    if step.is_categorical_ is not None:
        return own
    trees = [tree.nodes for iteration in step._predictors for tree in iteration]
    sizes, nodes = [len(tree) for tree in trees], np.concatenate(trees)
    leaf, first = nodes["is_leaf"].astype(bool), np.cumsum([0, *sizes[:-1]])
    order = np.argsort(leaf, kind="stable")  # inner nodes, then leaves
    rank, inner = np.argsort(order), order[: int((~leaf).sum())]
    left, right = (rank[(nodes[side] + np.repeat(first, sizes))[inner]] for side in ("left", "right"))
    feature, threshold = nodes["feature_idx"][inner].astype(np.intp), nodes["num_threshold"][inner]
    null_left, values = nodes["missing_go_to_left"][inner].astype(bool), nodes["value"][order]
    roots, stay, depth = rank[first], np.arange(len(nodes)), int(nodes["depth"].max())
    few, start, loss = CROSSING * len(trees) // len(nodes), step._baseline_prediction, step._loss
    answer = loss.predict_proba if hasattr(step, "classes_") else lambda raw: loss.link.inverse(raw.ravel())

    def raw(x: np.ndarray) -> np.ndarray:
        value, after, at = x.take(feature), stay.copy(), roots
        goes_left = (value <= threshold) | (null_left & np.isnan(value))
        after[: len(inner)] = np.where(goes_left, left, right)
        for _ in range(depth):
            at = after.take(at)
        leaves = values.take(at).reshape(-1, start.size)
        # cumsum adds in the order of the iterations, as the estimator does; sum would not.
        return np.asarray(np.vstack([start, leaves]).cumsum(axis=0)[-1])

    return lambda x: answer(np.array([raw(row) for row in x])) if 0 < len(x) <= few else own(x)


STEPS: dict[str, Callable[[Any], Function]] = {
    "FunctionTransformer": call, "Pipeline": lambda step: chain(step.steps), "OrdinalEncoder": encoder,
    "OneHotEncoder": encoder, "SimpleImputer": imputer, "StandardScaler": scaler,
}  # fmt: skip
ESTIMATORS: dict[str, Callable[[Any], Function]] = {
    "HistGradientBoostingClassifier": boosting, "HistGradientBoostingRegressor": boosting,
    "LogisticRegression": linear, "Ridge": linear, "LinearRegression": linear,
}  # fmt: skip
