"""YOURS: the estimator that `params.yaml` names, behind the features, as one scikit-learn pipeline."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from . import features
from .config import Train
from .errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from .schema import Schema

#: What every model is compared with, by task: knowing nothing, and the plain linear model.
CLASSIFIERS: dict[str, dict[str, Any]] = {
    "dummy": {"estimator": "sklearn.dummy.DummyClassifier", "arguments": {"strategy": "prior"}},
    "linear": {"estimator": "sklearn.linear_model.LogisticRegression", "arguments": {"max_iter": 1000}},
}
BASELINES: dict[str, dict[str, dict[str, Any]]] = {
    "binary": CLASSIFIERS,
    "multiclass": CLASSIFIERS,
    "regression": {
        "dummy": {"estimator": "sklearn.dummy.DummyRegressor", "arguments": {"strategy": "median"}},
        "linear": {"estimator": "sklearn.linear_model.Ridge", "arguments": {}},
    },
}


def estimator(path: str, arguments: dict[str, Any], seed: int) -> Any:
    """An instance of the class at the dotted `path`; `random_state` is the seed where it takes one.

    Raises InputError when the path names nothing or the class refuses an argument.
    """
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"train.estimator: {path} cannot be imported ({error}); mend params.yaml") from error
    try:
        made = found(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"train.arguments: {path} refuses them: {error}") from error
    if not (hasattr(made, "fit") and hasattr(made, "get_params")):
        raise InputError(f"train.estimator: {path} is no scikit-learn estimator; mend params.yaml")
    if "random_state" not in arguments and "random_state" in made.get_params():
        made.set_params(random_state=seed)
    return made


def build(train: Train, contract: Schema, seed: int) -> Any:
    """The unfitted pipeline: features, then estimator. Raises InputError."""
    from sklearn.pipeline import Pipeline

    made = estimator(train.estimator, train.arguments, seed)
    if contract.classes and not hasattr(made, "predict_proba"):
        raise InputError(f"train.estimator: {train.estimator} gives no probabilities (predict_proba); a"
                         f" {contract.task} task needs them")  # fmt: skip
    return Pipeline([("features", features.transformer(contract, train.encoding)), ("estimator", made)])


def baseline(name: str, train: Train, contract: Schema, seed: int) -> Any:
    """The unfitted baseline `dummy` or `linear` for this task."""
    recipe = train.model_copy(update={**BASELINES[contract.task][name], "encoding": "onehot"})
    made = build(recipe, contract, seed)
    return made.set_params(features="passthrough") if name == "dummy" else made  # it looks at no feature


def fit(pipeline: Any, frame: pd.DataFrame, contract: Schema) -> Any:
    """Fit `pipeline` on the rows of `frame`. Raises InputError when the estimator refuses them."""
    y = contract.encode_target(frame[contract.target])
    try:
        return pipeline.fit(frame[contract.inputs], y.astype(int) if contract.classes else y)
    except (ValueError, TypeError) as error:
        raise InputError(f"train: the estimator refuses the data or its arguments: {first_line(error)}") from error


def predict(pipeline: Any, frame: pd.DataFrame, contract: Schema) -> np.ndarray:
    """What the model says of each row, float64: the probability of the positive class or the predicted value, (n,);
    for a multiclass task the probability of every class, (n, K), 0 for a class that training never saw.
    """
    inputs = frame[contract.inputs]
    if contract.task == "regression":
        return np.asarray(pipeline.predict(inputs), dtype=float)
    found = np.zeros((len(inputs), len(contract.classes)))
    found[:, pipeline.classes_] = pipeline.predict_proba(inputs)
    return found if contract.task == "multiclass" else found[:, 1]


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]
