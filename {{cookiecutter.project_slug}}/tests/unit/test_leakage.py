"""Rows on both sides are counted, and so are rows that lost or changed a value on their way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

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


def test_equal_inputs_of_another_type_are_other_inputs(rows_of: Make, contract_of: Make) -> None:
    """A hash covers the type of a column."""
    frame = rows_of(40)
    whole = frame.assign(size=1)
    assert leakage.overlap(whole, whole.assign(size=1.5), contract_of(), "hash").duplicates == 0
    assert leakage.row_hashes(frame, ["id", "place"]).shape == (40,)
    assert (leakage.row_hashes(frame, ["id"]) == leakage.row_hashes(frame[::-1], ["id"])[::-1]).all()


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([1, 2, 3], [3, 1, 2], 0),
        ([1, 1, 2], [1, 2, 2], 1),
        ([1, 2, 3], [4, 5, 3], 2),
        ([1, 2, 3], [1], 2),
        ([1], [1, 1, 1, 1], 3),
        ([], [7], 1),
        ([], [], 0),
    ],
)
def test_hashes_without_a_partner(before: list[int], after: list[int], expected: int) -> None:
    """As multisets; a value instead of another is one row, not two."""
    assert leakage.unmatched(np.array(before, dtype="uint64"), np.array(after, dtype="uint64")) == expected


def test_rows_that_changed_are_counted_and_their_columns_named(rows_of: Make, contract_of: Make) -> None:
    """In whatever order the parts hold them; an imputer, a scaler, another type, a swap, a lost column."""
    frame = rows_of(100)
    names = [name for name in contract_of().columns if name != "delay"]
    kept = frame[names]

    def changed(whole: pd.DataFrame) -> tuple[int, list[str]]:
        return leakage.changed(frame, [whole.iloc[60:], whole.iloc[:60]], names)

    assert changed(kept) == (0, [])
    missing = int(frame["size"].isna().sum())
    assert missing == 10
    assert changed(kept.fillna({"size": 50.0})) == (missing, ["size"])
    assert changed(kept.assign(size=kept["size"] / 100, id=kept["id"] + 0.5)) == (100, ["id", "size"])
    assert changed(kept.assign(place=kept["place"].to_numpy()[::-1]))[1] == []
    assert changed(kept.assign(place=kept["place"].to_numpy()[::-1]))[0] > 50
    assert changed(kept.drop(columns=["open", "size"])) == (100, ["size", "open"])
    assert leakage.changed(frame, [kept, kept.drop(columns="open")], names) == (100, ["open"])
    assert leakage.changed(frame, [kept.iloc[:99]], names)[0] == 1


def test_rows_without_a_partner_are_counted_on_the_larger_side() -> None:
    """Whichever side it is, and also when none has one."""
    few, many = np.array([1, 2], dtype="uint64"), np.array([3, 4, 5], dtype="uint64")
    assert leakage.unmatched(few, many) == leakage.unmatched(many, few) == 3
    assert leakage.unmatched(many, np.append(many, many[:1])) == 1
    assert leakage.unmatched(few[:0], many[:0]) == 0


def test_rows_left_out_by_intent_are_not_missed_and_others_are() -> None:
    """Exactly so many, and no value that was not there before; columns are named as ever."""
    table = pd.DataFrame({"a": [1.0, 2.0, 3.0, 3.0], "b": [1.0, 1.0, 2.0, 2.0]})
    parts = [table.iloc[[0]], table.iloc[[2]]]
    assert leakage.changed(table, parts, ["a", "b"], 2) == (0, [])
    assert leakage.changed(table, parts, ["a", "b"])[0] == 2
    assert leakage.changed(table, parts, ["a", "b"], 1)[0] == 1
    assert leakage.changed(table, parts, ["a", "b"], 3)[0] == 1
    assert leakage.changed(table, [parts[0], parts[1].assign(a=9.0)], ["a", "b"], 2) == (1, ["a"])
