"""Columns become numbers the same way for training and for one row that nobody has seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import features

Make = Callable[..., Any]


def test_a_calendar_has_minute_and_weekday() -> None:
    """Monday is 0; null is NaN; the index stays."""
    times = pd.DataFrame(
        {"t": pd.to_datetime(["2024-01-01 00:30", "2024-01-07 23:59", None], format="ISO8601")}, [7, 8, 9]
    )
    found = features.calendar(times)
    assert found.iloc[:2].to_numpy().tolist() == [[30.0, 0.0], [1439.0, 6.0]]
    assert found.iloc[2].isna().all()
    assert (list(found), found.index.tolist()) == (["t_minute", "t_weekday"], [7, 8, 9])


def test_numbers_are_float64() -> None:
    """Booleans too."""
    found = features.numbers(pd.DataFrame({"a": [1, 2], "b": [True, False]}))
    assert found.to_numpy().tolist() == [[1.0, 1.0], [2.0, 0.0]]
    assert set(found.dtypes) == {np.dtype("float64")}


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
