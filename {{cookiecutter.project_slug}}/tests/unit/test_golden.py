"""Rows that travel with a model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import model
from {{ cookiecutter.project_slug }}.errors import GateClosed
from {{ cookiecutter.project_slug }}.registry import golden

EXTRA = {
    "shade": {"type": "category", "nullable": True},
    "seats": {"type": "int", "min": 0, "max": 9},
    "spare": {"type": "int", "nullable": True},
    "level": {"type": "int", "values": [1, 2]},
    "loose": {"type": "float", "nullable": True},
    "maybe": {"type": "bool", "nullable": True},
    "seen": {"type": "datetime", "nullable": True},
}


@pytest.fixture
def table(rows_of):
    """Valid rows of every type."""
    rows = rows_of(200)
    return rows.assign(
        shade=pd.Series(["red", "blue"] * 100, dtype="str"), seats=np.arange(200) % 10, spare=np.arange(200.0) % 7,
        level=1, loose=np.nan, maybe=1.0, seen=pd.Series(pd.NaT, index=rows.index, dtype="datetime64[us]"),
    )  # fmt: skip


def test_rows_hold_limits_nulls_and_what_no_training_saw(table, contract_of):
    contract = contract_of(**EXTRA)
    made = golden.rows(table, contract, 3)
    pd.testing.assert_frame_equal(made, golden.rows(table, contract, 3))
    assert not made.equals(golden.rows(table, contract, 4))
    assert list(made) == contract.inputs
    assert made.dtypes.to_dict() == {name: table[name].dtype for name in made}
    assert (made["size"].min(), made["size"].max()) == (0, 100)
    assert set(made["place"]) <= {"a", "b", "c"}
    assert golden.UNSEEN in set(made["shade"])
    nullable = {name for name, column in contract.columns.items() if column.nullable}
    assert set(made.columns[made.isna().any()]) == nullable & set(made)
    assert made["spare"].dropna().mod(1).eq(0).all()
    assert set(made["level"]) == {1, 2}


def test_no_row_of_the_data_is_among_them(table, contract_of):
    names = ["when", "size", "place", "open"]
    made = golden.rows(table, contract_of(), 3)[names]
    assert made.merge(table[names], how="inner").empty


def test_of_a_private_category_no_value_is_shown(table, contract_of):
    """Nor is a name that the contract does not know a reason to fail: `serve` is who refuses that."""
    contract = contract_of(**EXTRA)
    assert set(golden.rows(table, contract, 3, ["shade", "nobody", "size"])["shade"].dropna()) == {golden.UNSEEN}
    assert {"red", "blue"} <= set(golden.rows(table, contract, 3)["shade"])


def test_no_row_breaks_its_own_contract(table, contract_of):
    """Where the limits are narrower than what is rounded."""
    made = golden.rows(table, contract_of(size={"min": 0, "max": 0.0007}), 3)["size"]
    assert (made.min(), made.max()) == (0, 0.0007)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_is_written_is_read_and_is_what_the_model_says(task, project, rows_of, contract_of):
    contract, table = contract_of(task), rows_of(200)
    train = project.params().train
    if task == "regression":
        train = train.model_copy(update={"estimator": "sklearn.linear_model.Ridge"})
    fitted = model.fit(model.build(train, contract, 1), table, contract)
    golden.write(fitted, table, contract, 1)
    rows, said = golden.read(golden.PATH, contract)
    assert said.shape == ((golden.ROWS, 3) if task == "multiclass" else (golden.ROWS,))
    assert golden.equal(model.predict(fitted, rows, contract), said)


def test_a_model_that_needs_more_than_its_inputs_closes_a_gate(project, rows_of, contract_of):
    with pytest.raises(GateClosed, match="artefact: the inputs of .* not enough to predict .KeyError: .*late"):
        golden.write(Nosy(), rows_of(50), contract_of(), 1)
    assert not golden.PATH.exists()


class Nosy:
    """A pipeline that looks at the target."""

    classes_ = [0, 1]

    def predict_proba(self, inputs):
        return inputs[["late", "late"]].to_numpy()


def test_equal_means_within_the_order_of_a_sum():
    said = np.array([0.1, 0.2])
    assert golden.equal(said + 1e-13, said)
    assert not golden.equal(said + 1e-11, said)
    assert not golden.equal(np.array([0.1, np.nan]), said)
    assert not golden.equal(said[:1], said)
    assert golden.equal(1e6 * said + 1e-8, 1e6 * said)  # a price in cents has fewer digits behind the point
    assert not golden.equal(1e6 * said + 1e-6, 1e6 * said)
