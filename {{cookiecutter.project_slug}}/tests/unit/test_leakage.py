"""A column that knows the answer is found, one that merely helps is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from {{ cookiecutter.project_slug }}.gates import leakage

Make = Callable[..., Any]


def test_overlap_counts_what_both_sides_share(rows_of: Make, contract_of: Make) -> None:
    """Keys, rows with equal inputs, entities of a group split, and test rows that are not later."""
    frame, contract = rows_of(), contract_of()
    train, test = frame.iloc[:150], frame.iloc[150:]
    assert leakage.overlap(train, test, contract, "hash") == leakage.Overlap(0, 0, 0, 0)
    copied = pd.concat([test, train.iloc[:3].assign(id=[900, 901, 902]), train.iloc[5:7]])
    found = leakage.overlap(train, copied, contract, "hash")
    assert (found.keys, found.duplicates) == (2, 5)
    assert leakage.overlap(train, test, contract, "group").groups == 50
    late, early = frame[frame["when"] >= "2024-01-08"], frame[frame["when"] < "2024-01-08"]
    assert leakage.overlap(early, late, contract, "time").misordered == 0
    assert leakage.overlap(late, early, contract, "time").misordered == len(early)
    assert leakage.overlap(late, early, contract, "hash").misordered == 0
    same_moment = late.assign(when=early["when"].max())
    assert leakage.overlap(early, same_moment, contract, "time").misordered == len(late)


def test_overlap_without_key_time_or_group(rows_of: Make, contract_of: Make) -> None:
    """What is not declared is not counted; equal inputs still are."""
    frame, contract = rows_of(40), contract_of(id=..., when=..., who=...)
    for by in ("time", "group"):
        assert leakage.overlap(frame, frame.iloc[:4], contract, by) == leakage.Overlap(0, 0, 4, 0)


def strength(frame: pd.DataFrame, contract: Any, blocks: np.ndarray | None = None) -> dict[str, float]:
    """The strength of each feature, with rows as blocks unless told."""
    return leakage.single_feature_strength(frame, contract, np.arange(len(frame)) if blocks is None else blocks)


def test_an_honest_feature_has_its_auc(rows_of: Make, contract_of: Make) -> None:
    """In whichever direction; noise is near one half."""
    frame = rows_of(2000)
    found = strength(frame, contract_of())
    known = frame.dropna(subset="size")
    assert found["size"] == pytest.approx(roc_auc_score(known["late"], known["size"]))
    assert strength(frame.assign(size=-frame["size"]), contract_of())["size"] == pytest.approx(found["size"])
    assert found["open"] < 0.56
    assert set(found) == {"place", "size", "open"}


@pytest.mark.parametrize(
    ("column", "leak"),
    [
        ("size", lambda late: np.where(late == 1, -5.0, -7.0)),
        ("size", lambda late: np.where(late == 1, np.nan, 50.0)),
        ("place", lambda late: np.where(late == 1, "x", "y")),
        ("place", lambda late: np.where(late == 1, None, "y")),
        ("open", lambda late: late == 0),
    ],
)
def test_a_copy_of_the_answer_has_strength_one(rows_of: Make, contract_of: Make, column: str, leak: Any) -> None:
    """As a number, a word, a flag, or as being null exactly then."""
    frame = rows_of(400)
    frame[column] = leak(frame["late"].to_numpy())
    assert strength(frame, contract_of())[column] == pytest.approx(1.0)


def test_a_category_for_each_row_knows_nothing(rows_of: Make, contract_of: Make) -> None:
    """Means are learned on the even blocks and scored on the odd ones."""
    frame = rows_of(400)
    frame["place"] = [f"row {i}" for i in range(400)]
    assert strength(frame, contract_of())["place"] == pytest.approx(0.5)
    assert strength(rows_of(400), contract_of(), np.zeros(400, dtype=int))["place"] == 0.5


def test_a_date_that_gives_the_answer_away_is_found(rows_of: Make, contract_of: Make) -> None:
    """By its value, or by being null exactly when the answer is no."""
    contract = contract_of(closed={"type": "datetime", "nullable": True})
    frame = rows_of(400)
    shifted = frame["when"] + pd.to_timedelta(frame["late"] * 400, unit="D")
    assert strength(frame.assign(closed=shifted), contract)["closed"] == pytest.approx(1.0)
    seconds = np.random.default_rng(99).integers(0, 10**6, 400)
    noise = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s"))
    nulls = noise.where(frame["late"] == 1)
    assert strength(frame.assign(closed=nulls), contract)["closed"] == pytest.approx(1.0)
    assert strength(frame.assign(closed=noise), contract)["closed"] < 0.6


def test_a_numeric_target_is_cut_at_its_median(rows_of: Make, contract_of: Make) -> None:
    """A monotone copy separates the halves perfectly."""
    frame = rows_of(400)
    frame["size"] = np.exp(frame["minutes"] / 50)
    assert strength(frame, contract_of("regression"))["size"] == pytest.approx(1.0)


def test_one_class_separates_nothing() -> None:
    """Nor do no rows at all."""
    assert leakage.separation(np.ones(3), np.arange(3.0)) == 0.5
    assert leakage.separation(np.empty(0), np.empty(0)) == 0.5
