"""Columns become numbers the same way for training and for one row that nobody has seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import features

Make = Callable[..., Any]


TIMES = ["2024-01-01 00:30:59.9", "2024-01-07 23:59", "1969-12-31 00:01", None]


def test_a_calendar_has_minute_and_weekday() -> None:
    """Monday is 0; null is NaN in both; per column, also before 1970."""
    table = pd.DataFrame({"t": pd.to_datetime(TIMES, format="ISO8601"), "u": pd.Timestamp("2024-02-29 12:00")})
    found = features.calendar(table)
    assert found[:3].tolist() == [[30.0, 0.0, 720.0, 3.0], [1439.0, 6.0, 720.0, 3.0], [1.0, 2.0, 720.0, 3.0]]
    assert np.isnan(found[3, :2]).all()
    assert features.calendar_names(None, table) == ["t_minute", "t_weekday", "u_minute", "u_weekday"]


def test_numbers_are_float64() -> None:
    """Booleans too; null is NaN."""
    found = features.numbers(pd.DataFrame({"a": [1, 2], "b": [True, False], "c": [None, 0.5]}))
    np.testing.assert_array_equal(found, [[1.0, 1.0, np.nan], [2.0, 0.0, 0.5]])
    assert found.dtype == np.dtype("float64")


def test_a_table_and_an_array_give_the_same(rows_of: Make) -> None:
    """The very functions that a model is fitted with serve arrays; no rows are no rows."""
    frame = rows_of()
    for function, names in ((features.calendar, ["when"]), (features.numbers, ["size", "open"])):
        expected = function(frame[names])
        kind = "datetime64[us]" if names == ["when"] else "float64"
        np.testing.assert_array_equal(function(frame[names].to_numpy(dtype=kind)), expected)
        assert function(frame[names].iloc[:0]).shape == (0, 2)


def test_features_keep_the_tables_index(rows_of: Make, contract_of: Make) -> None:
    """And are named, whichever functions made them."""
    frame, contract = rows_of().iloc[5:9], contract_of()
    found = features.transformer(contract, "ordinal").fit_transform(frame[contract.inputs])
    assert found.index.equals(frame.index)
    assert found["when_minute"].tolist() == (frame["when"].dt.hour * 60.0 + frame["when"].dt.minute).tolist()
    assert found["when_weekday"].tolist() == frame["when"].dt.day_of_week.tolist()


def test_trees_get_codes_and_nulls_under_the_columns_names(rows_of: Make, contract_of: Make) -> None:
    """Keys, groups, outcomes and the target are not among them; an unseen category is one code of its own."""
    frame, contract = rows_of(), contract_of()
    fitted = features.transformer(contract, "ordinal").fit(frame[contract.inputs])
    found = fitted.transform(frame[contract.inputs])
    assert list(found) == ["when_minute", "when_weekday", "size", "open", "place"]
    assert found["size"].isna().equals(frame["size"].isna())
    assert found["place"].tolist() == ["abc".index(place) for place in frame["place"]]
    unseen = frame[contract.inputs].iloc[:2].assign(place=["new", None])
    assert fitted.transform(unseen)["place"].tolist() == [-1.0, -1.0]


def test_linear_models_get_no_null_and_one_scale(rows_of: Make, contract_of: Make) -> None:
    """Also where dates, numbers or whole columns are null; that a number was null is a feature of its own."""
    contract = contract_of(seen={"type": "datetime", "nullable": True}, gone={"type": "float", "nullable": True})
    frame = rows_of().assign(gone=np.nan, seen=lambda f: f["when"].where(f["size"] > 50))[contract.inputs]
    found = features.transformer(contract, "onehot").fit_transform(frame)
    assert np.isfinite(found.to_numpy()).all()
    assert {"size", "missingindicator_size", "place_a", "when_minute", "seen_weekday"} <= set(found)
    assert found["size"].mean() == pytest.approx(0, abs=1e-9)
    assert found["size"].std(ddof=0) == pytest.approx(1)


def test_rare_and_unseen_categories_share_a_column(rows_of: Make, contract_of: Make) -> None:
    """Fewer than 20 rows are not enough to learn a category from."""
    contract = contract_of()
    frame = rows_of()
    frame.loc[:4, "place"] = "rare"
    fitted = features.transformer(contract, "onehot").fit(frame[contract.inputs])
    rows = frame[contract.inputs].iloc[:2].assign(place=["rare", "new"])
    assert fitted.transform(rows)["place_infrequent_sklearn"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("encoding", ["ordinal", "onehot"])
def test_any_single_kind_of_column_is_enough(rows_of: Make, contract_of: Make, encoding: str) -> None:
    """A contract without time, numbers or categories."""
    only: list[tuple[dict[str, Any], int]] = [
        ({"when": ..., "place": ..., "open": ...}, 1), ({"when": ..., "size": ..., "open": ...}, 1),
        ({"place": ..., "open": ..., "size": {"role": "outcome"}, "seen": {"type": "datetime"}}, 4),
    ]  # fmt: skip
    frame = rows_of().assign(seen=lambda f: f["when"])
    for changes, least in only:
        contract = contract_of(**changes)
        assert features.transformer(contract, encoding).fit_transform(frame[contract.inputs]).shape[1] >= least
