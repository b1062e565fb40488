"""What the page computes itself: importance of inputs, and the profile of the training rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import model
from {{ cookiecutter.project_slug }}.config import Train
from {{ cookiecutter.project_slug }}.report import rows

ESTIMATORS = {
    "binary": "sklearn.linear_model.LogisticRegression",
    "multiclass": "sklearn.linear_model.LogisticRegression",
    "regression": "sklearn.linear_model.Ridge",
}


@pytest.mark.parametrize("task", list(ESTIMATORS))
def test_inputs_that_tell_something_come_first(task, contract_of, params_dict, rows_of):
    contract, table = contract_of(task), rows_of(600)
    recipe = Train.model_validate(params_dict()["train"] | {"estimator": ESTIMATORS[task], "arguments": {}})
    fitted = model.fit(model.build(recipe, contract, 1), table, contract)
    found = rows.importance(fitted, table, contract, 1)
    assert {mark.label for mark in found} == set(contract.inputs)
    assert {mark.label for mark in found[:2]} == {"size", "place"}
    first = found[0]
    assert 0 < first.low < first.value < first.high
    assert found[-1].value == pytest.approx(0, abs=0.02 if contract.classes else 0.5)
    assert rows.importance(fitted, table, contract, 1) == found
    assert rows.importance(fitted, table, contract, 2) != found


def test_no_more_rows_than_said_are_shuffled(contract_of, params_dict, rows_of, monkeypatch):
    seen = []
    monkeypatch.setattr(rows, "ROWS", 50)
    monkeypatch.setattr(rows.model, "predict", lambda _, frame, __: seen.append(len(frame)) or np.zeros(len(frame)))
    rows.importance(None, rows_of(200), contract_of(), 1)
    assert set(seen) == {50}


def test_the_profile_says_what_each_column_holds(contract_of, rows_of):
    table = rows_of(200).assign(open=[True, False] * 100, place=["a"] * 100 + ["<b>"] * 60 + ["c"] * 30 + ["d"] * 10)
    contract = contract_of()
    found = {row[0]: row[1:] for row in rows.profile(table.drop(columns="delay"), contract)}
    assert "delay" not in found
    assert found["id"] == ["key", "int", "0.0%", 200, "–"]
    assert found["place"][3:] == [4, "a 50.0%, <b> 30.0%, c 15.0% …"]
    assert found["open"][-1] == "False 50.0%, True 50.0%"
    nulls, distinct, quantiles = found["size"][2:]
    assert nulls == f"{table['size'].isna().mean():.1%}"
    assert distinct == table["size"].nunique()
    assert len(quantiles.split(" · ")) == 5
    assert found["when"][-1] == f"{table['when'].min()} to {table['when'].max()}"
    assert found["late"][0] == "target"
    assert found["late"][-1].startswith("0 ")


@pytest.mark.parametrize(
    ("kind", "expected"), [("float", "1 · 1.25 · 1.5 · 1.75 · 2"), ("int", "1.0 50.0%, 2.0 50.0%")]
)
def test_a_target_is_counted_unless_it_is_a_number(kind, expected):
    assert rows.values(pd.Series([1.0, 2.0, None]), kind, "target") == expected
    assert rows.values(pd.Series([None, None], dtype="float64"), kind, "target") == "–"
