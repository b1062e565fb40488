"""What a small training is tried on is what it says, and a model that fails there is seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import model
from {{ cookiecutter.project_slug }}.gates import smoke

Make = Callable[..., Any]


def test_rows_are_taken_evenly() -> None:
    """The first and the last among them; all of few."""
    assert smoke.evenly(9, 3).tolist() == [0, 4, 8]
    assert smoke.evenly(3, 9).tolist() == [0, 1, 2]
    assert smoke.evenly(5, 5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_tiny_batch_has_the_classes_in_turn(rows_of: Make, contract_of: Make, task: str) -> None:
    """Rows with equal inputs count once; the batch is repeated to the number of rows, a few more if need be."""
    contract, frame = contract_of(task), rows_of(200)
    twice = pd.concat([frame.assign(late=1 - frame["late"]).iloc[:50], frame], ignore_index=True)
    batch = smoke.tiny_batch(twice if task == "binary" else frame, contract)
    assert len(batch) == (256 if task == "binary" else 208)
    assert len(batch.drop_duplicates(contract.inputs)) == smoke.TINY == 16
    assert batch.iloc[:16].equals(batch.iloc[16:32].reset_index(drop=True))
    counts = batch.iloc[:16][contract.target].value_counts()
    assert sorted(counts) == ([8, 8] if task == "binary" else [5, 5, 6])
    assert len(smoke.tiny_batch(frame.iloc[:16], contract)) == 16


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_tiny_batch_has_no_nulls(rows_of: Make, contract_of: Make, task: str) -> None:
    """Each takes a value that a row nearby has; a column without any value stays as it is."""
    frame = rows_of(200)
    sparse = frame.assign(size=frame["size"].where(frame.index == 100))
    assert set(smoke.tiny_batch(sparse, contract_of(task))["size"]) == {frame["size"][100]}
    assert smoke.tiny_batch(frame.assign(size=np.nan), contract_of(task))["size"].isna().all()


def test_a_rare_class_is_in_the_tiny_batch(rows_of: Make, contract_of: Make) -> None:
    """However late its rows come."""
    frame = rows_of(100).assign(late=(np.arange(100) > 97).astype(int))
    assert smoke.tiny_batch(frame, contract_of()).iloc[:16]["late"].sum() == 2


def test_a_tiny_batch_spans_a_numeric_target(rows_of: Make, contract_of: Make) -> None:
    """From the least to the greatest value."""
    frame = rows_of(200)
    values = smoke.tiny_batch(frame, contract_of("regression"))["minutes"]
    ordered = frame["minutes"].sort_values()
    assert values.iloc[:16].tolist() == ordered.iloc[smoke.evenly(200, 16)].tolist()
    assert len(values) == 208


def test_nulls_go_where_the_contract_admits_them(rows_of: Make, contract_of: Make) -> None:
    """Each nullable input and nothing else, whatever its type."""
    contract = contract_of(place={"nullable": True, "values": None}, open={"nullable": True}, when={"nullable": True})
    frame = rows_of(30).astype({"open": "float64"})
    empty = smoke.without_values(frame, contract)
    assert empty[["place", "open", "size", "when"]].isna().all(axis=None)
    assert empty.dtypes.equals(frame.dtypes)
    others = ["id", "who", "delay", "late"]
    assert empty[others].equals(frame[others])
    strict = smoke.without_values(frame, contract_of())
    assert strict["size"].isna().all()
    assert strict.drop(columns="size").equals(frame.drop(columns="size"))


def test_categories_never_seen_are_in_every_category_feature(rows_of: Make, contract_of: Make) -> None:
    """The group is no feature."""
    frame = rows_of(30)
    found = smoke.never_seen(frame, contract_of())
    assert not set(found["place"]) & set(frame["place"])
    assert found.drop(columns="place").equals(frame.drop(columns="place"))


@pytest.mark.parametrize(
    ("task", "estimator", "least"),
    [
        ("binary", "sklearn.linear_model.LogisticRegression", 0.2),
        ("multiclass", "sklearn.linear_model.LogisticRegression", 0.2),
        ("regression", "sklearn.linear_model.Ridge", 0.2),
    ],
)
def test_the_fall_of_the_loss(
    rows_of: Make, contract_of: Make, params_of: Make, task: str, estimator: str, least: float
) -> None:
    """A share of the dummy's loss; every task learns, and the handful of rows by heart."""
    params = params_of(train={"estimator": estimator})
    contract, frame = contract_of(task), rows_of(400)
    fitted, predicted, fall = smoke.learn(frame, contract, params)
    assert least < fall < 0.9
    assert np.array_equal(predicted, model.predict(fitted, frame, contract))
    kind = "Regressor" if task == "regression" else "Classifier"
    deep = params_of(train={"estimator": f"sklearn.tree.DecisionTree{kind}", "encoding": "ordinal"})
    assert smoke.learn(smoke.tiny_batch(frame, contract), contract, deep)[2] == pytest.approx(1.0)
    for harmed in (frame, smoke.without_values(frame, contract), smoke.never_seen(frame, contract)):
        assert smoke.not_finite(fitted, harmed, contract)[0] == 0


def test_a_dummy_does_not_fall(rows_of: Make, contract_of: Make, params_of: Make) -> None:
    """It is what others are compared with; a worse one falls below zero."""
    params = params_of(train={"estimator": "sklearn.dummy.DummyClassifier", "arguments": {"strategy": "prior"}})
    assert smoke.learn(rows_of(100), contract_of(), params)[2] == pytest.approx(0, abs=1e-12)
    wrong = params_of(
        train={"estimator": "sklearn.dummy.DummyClassifier", "arguments": {"strategy": "constant", "constant": 1}}
    )
    frame = rows_of(100)
    rate = frame["late"].mean()
    assert smoke.learn(frame, contract_of(), wrong)[2] == pytest.approx(1 - (1 - rate) / (rate * (1 - rate)))


class Says:
    """A model that predicts what it was told, or fails."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def predict(self, inputs: pd.DataFrame) -> np.ndarray:
        if isinstance(self.answer, Exception):
            raise self.answer
        return np.asarray(self.answer)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([1.0, 2.0, 3.0], (0, "is NaN")),
        ([1.0, np.nan, np.inf], (2, "is NaN")),
        (ValueError("Input X contains NaN.\nlong advice"), (3, "fails (Input X contains NaN.)")),
        (TypeError("no words"), (3, "fails (no words)")),
    ],
)
def test_predictions_that_are_no_numbers(rows_of: Make, contract_of: Make, answer: Any, expected: Any) -> None:
    """Counted; one that cannot be made counts for all rows, with what the estimator said."""
    assert smoke.not_finite(Says(answer), rows_of(3), contract_of("regression")) == expected


def test_a_category_that_was_never_seen_is_no_null(rows_of: Make, contract_of: Make) -> None:
    """A null would be another case, which has its own rows."""
    rows = smoke.never_seen(rows_of(20), contract_of())
    assert rows["place"].unique().tolist() == ["(never seen)"]


def test_a_tiny_batch_has_distinct_inputs(rows_of: Make, contract_of: Make) -> None:
    """Rows that differ in their key alone could not be told apart by any model."""
    rows = rows_of(30).loc[np.repeat(np.arange(30), 2)].assign(id=range(60))
    inputs = contract_of().inputs
    found = smoke.tiny_batch(rows, contract_of())
    assert len(found[inputs].drop_duplicates()) == len(found["id"].drop_duplicates()) == smoke.TINY


def test_a_small_training_has_the_seed_of_the_project(rows_of: Make, contract_of: Make, params_of: Make) -> None:
    """Twice the same model, or the gate would close by chance."""
    estimator = "sklearn.ensemble.RandomForestClassifier"
    params = params_of(train={"estimator": estimator, "arguments": {"n_estimators": 3}, "encoding": "ordinal"})
    first, again = (smoke.learn(rows_of(200), contract_of(), params)[1] for _ in range(2))
    assert np.array_equal(first, again)
