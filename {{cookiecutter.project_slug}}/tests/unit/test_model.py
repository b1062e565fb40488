"""The estimator that `params.yaml` names, or one line that says why it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from {{ cookiecutter.project_slug }} import model
from {{ cookiecutter.project_slug }}.errors import InputError

Make = Callable[..., Any]


@pytest.mark.parametrize(
    ("path", "arguments", "said"),
    [
        ("no.such.Estimator", {}, "train.estimator: no.such.Estimator cannot be imported"),
        ("sklearn.linear_model.Nothing", {}, "cannot be imported"),
        ("sklearn.linear_model.Ridge", {"alfa": 1}, "train.arguments: .* refuses them: .*alfa"),
        ("sklearn.linear_model", {}, "train.arguments: sklearn.linear_model refuses them"),
        ("decimal.Decimal", {}, "is no scikit-learn estimator"),
        ("datetime.date", {"year": 2024, "month": 13, "day": 1}, "refuses them: month must be"),
    ],
)
def test_a_wrong_estimator_is_named(path: str, arguments: dict[str, Any], said: str) -> None:
    """With the key of `params.yaml` to mend."""
    with pytest.raises(InputError, match=said):
        model.estimator(path, arguments, 7)


def test_the_seed_reaches_estimators_that_take_one() -> None:
    """Unless the arguments set it."""
    forest = "sklearn.ensemble.RandomForestClassifier"
    assert model.estimator(forest, {}, 7).random_state == 7
    assert model.estimator(forest, {"random_state": 1}, 7).random_state == 1
    assert "random_state" not in model.estimator("sklearn.naive_bayes.GaussianNB", {}, 7).get_params()


@pytest.mark.parametrize("path", ["sklearn.linear_model.Ridge", "sklearn.svm.LinearSVC"])
def test_a_binary_task_needs_probabilities(contract_of: Make, params_of: Make, path: str) -> None:
    """A regressor, or a classifier without `predict_proba`."""
    with pytest.raises(InputError, match=f"{path} gives no probabilities"):
        model.build(params_of(train={"estimator": path}).train, contract_of(), 7)


def test_a_fitted_classifier_gives_the_positive_classs_probability(
    contract_of: Make, params_of: Make, rows_of: Make
) -> None:
    """Whatever the target's values are called, and however they sort."""
    frame = rows_of()
    words = contract_of(late={"type": "category", "values": ["zz", "aa"]})
    said = frame.assign(late=np.where(frame["late"] == 1, "aa", "zz"))
    numbers = model.fit(model.build(params_of().train, contract_of(), 7), frame, contract_of())
    texts = model.fit(model.build(params_of().train, words, 7), said, words)
    p = model.predict(numbers, frame, contract_of())
    assert p.shape == (200,)
    assert p.dtype == float
    assert p[frame["late"] == 1].mean() > p[frame["late"] == 0].mean() + 0.2
    assert np.array_equal(model.predict(texts, said, words), p)


def test_a_regressor_predicts_values(contract_of: Make, params_of: Make, rows_of: Make) -> None:
    """In the target's unit."""
    contract, frame = contract_of("regression"), rows_of()
    train = params_of(train={"estimator": "sklearn.linear_model.Ridge"}).train
    found = model.predict(model.fit(model.build(train, contract, 7), frame, contract), frame, contract)
    assert np.corrcoef(found, frame["minutes"])[0, 1] > 0.7


def test_every_class_has_its_column_of_probabilities(contract_of: Make, params_of: Make, rows_of: Make) -> None:
    """In the order of the file; a class that training never saw has probability 0."""
    contract, frame = contract_of("multiclass"), rows_of()
    p = model.predict(model.fit(model.build(params_of().train, contract, 7), frame, contract), frame, contract)
    assert p.shape == (200, 3)
    assert p.sum(axis=1) == pytest.approx(np.ones(200))
    for k, name in enumerate(contract.classes):
        assert p[frame["status"] == name, k].mean() > p[frame["status"] != name, k].mean() + 0.05
    two = frame[frame["status"] != "long"]
    q = model.predict(model.fit(model.build(params_of().train, contract, 7), two, contract), frame, contract)
    assert (q[:, 1] == 0).all()
    assert (q[:, [0, 2]] > 0).all()
    with pytest.raises(InputError, match="gives no probabilities .* a multiclass task needs them"):
        model.build(params_of(train={"estimator": "sklearn.svm.LinearSVC"}).train, contract, 7)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_baselines_know_nothing_or_are_linear(contract_of: Make, params_of: Make, rows_of: Make, task: str) -> None:
    """Whatever encoding the model has; the dummy says the share of the positive class, or the median."""
    contract, frame = contract_of(task), rows_of()
    train = params_of(train={"encoding": "ordinal"}).train
    dummy, linear = (
        model.predict(model.fit(model.baseline(name, train, contract, 7), frame, contract), frame, contract)
        for name in ("dummy", "linear")
    )
    known = frame["late"].mean() if task == "binary" else frame["minutes"].median()
    assert dummy == pytest.approx(np.full(200, known))
    assert np.corrcoef(linear, frame[contract.target])[0, 1] > 0.4


@pytest.mark.parametrize(
    ("task", "estimator", "arguments"),
    [
        ("binary", "sklearn.linear_model.LogisticRegression", {"C": -1}),
        ("binary", "sklearn.ensemble.HistGradientBoostingClassifier", {"monotonic_cst": {"nowhere": 1}}),
        ("regression", "sklearn.linear_model.LogisticRegression", {}),
    ],
)
def test_an_estimator_that_refuses_says_why_in_one_line(
    contract_of: Make, params_of: Make, rows_of: Make, task: str, estimator: str, arguments: dict[str, Any]
) -> None:
    """A bad value, a column that is not there, or an estimator of another task."""
    contract = contract_of(task)
    train = params_of(train={"estimator": estimator, "arguments": arguments}).train
    with pytest.raises(InputError, match="train: the estimator refuses the data or its arguments: ") as caught:
        model.fit(model.build(train, contract, 7), rows_of(), contract)
    assert "\n" not in str(caught.value)


def test_an_error_without_a_message_still_says_something() -> None:
    """The kind of error, at least."""
    assert model.first_line(ValueError()) == "ValueError"
