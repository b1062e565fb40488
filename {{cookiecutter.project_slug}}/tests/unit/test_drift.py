"""A shift counts against what history does by itself, whatever the type of the column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from {{ cookiecutter.project_slug }}.gates import drift

Make = Callable[..., Any]


def series(*values: Any, dtype: str = "object") -> pd.Series:
    """A column of these values."""
    return pd.Series(list(values), dtype=dtype)


def test_unseen_values_and_the_commonest_one_count_null_as_a_value() -> None:
    """Exact shares; a null that history has too is known."""
    history = series("a", "b", None, "b")
    assert drift.unseen(history, series("a", "c", "b", "d", "a")) == pytest.approx(0.4)
    assert drift.unseen(history, series("a", None)) == 0
    assert drift.unseen(series("a"), series("a", None, "a", "a")) == 0.25
    assert drift.commonest(series("a", "b", "b", None)) == ("b", 0.5)
    assert drift.commonest(series(None, np.nan, 1.0, dtype="float64")) == (None, pytest.approx(2 / 3))
    assert drift.commonest(series(True, True, False, True)) == (True, 0.75)


@pytest.mark.parametrize(
    ("by", "rows", "expected"),
    [("time", (1000, 10), 31), ("hash", (300, 100), 20), ("group", (1000, 25), 2), ("stratified", (1000, 1), 1)],
)
def test_a_run_is_as_long_as_what_is_new(by: str, rows: tuple[int, int], expected: int) -> None:
    """In blocks for a time split; else in rows, and one block at least."""
    assert drift.run_length(60, 31, rows, by) == expected


def test_what_is_compared(rows_of: Make, contract_of: Make) -> None:
    """Inputs, nulls of nullable ones, clock and weekday of times, and the target; neither keys nor outcomes."""
    frame = rows_of(60)
    found = drift.aspects(frame, contract_of())
    assert set(found) == {"when minute", "when weekday", "place", "size", "size null", "open", "late"}
    assert found["when minute"].iloc[1] == frame["when"].iloc[1].hour * 60
    half_past = frame.assign(when=pd.Timestamp("2024-01-07 13:30"))
    assert drift.aspects(half_past, contract_of())["when minute"].unique().tolist() == [810.0]
    assert drift.aspects(half_past, contract_of())["when weekday"].unique().tolist() == [6]
    assert found["size null"].tolist() == frame["size"].isna().tolist()
    assert [
        found[name].dtype.kind for name in ("when minute", "when weekday", "size", "size null", "place", "late")
    ] == list("fOfOOO")
    counted = contract_of(size={"type": "int", "nullable": False})
    assert drift.aspects(frame, counted)["size"].dtype.kind == "f"
    assert drift.aspects(frame, contract_of("regression"))["minutes"].dtype.kind == "f"
    assert drift.aspects(frame, contract_of("multiclass"))["status"].dtype.kind == "O"


def test_a_day_of_the_week_is_the_same_beside_a_null(rows_of: Make, contract_of: Make) -> None:
    """The log is read in pieces, some of which have a null, and bins go by text."""
    contract, frame = contract_of(when={"nullable": True}), rows_of(20)
    frame.loc[frame.index[3], "when"] = None
    found = drift.of_inputs(frame, contract, ["when"])["when weekday"].dropna().astype("str")
    assert set(found) <= set("0123456")
    assert len(found) == 19


def test_numbers_are_cut_at_values_of_history() -> None:
    """A bin for each, and one below, between and above; null has none, nor has a column of nulls any cut."""
    history, new = series(2, 1, None, 3, 3, dtype="float64"), series(0, 1, 1.5, 3, 99, None, dtype="float64")
    left, right, ordered = drift.codes(history, new)
    assert (left.tolist(), right.tolist(), ordered) == ([3, 1, -1, 5, 5], [0, 1, 2, 5, 6, -1], True)
    empty = series(None, None, dtype="float64")
    assert drift.codes(empty, new)[1].tolist() == [0, 0, 0, 0, 0, -1]
    many = pd.Series(np.arange(10_000.0))
    rows = np.bincount(drift.codes(many, many)[0])
    assert (len(rows), rows[0]) == (2 * drift.BINS + 2, 0)
    assert (set(rows[1::2]), set(rows[2:-1:2])) == ({1}, {48, 49, 50})


@pytest.mark.parametrize("value", [-999.0, 0.5, 0.999, 2.0])
def test_a_value_that_took_the_place_of_a_frequent_one_is_seen(value: float) -> None:
    """Below all, between two of a few, beside one, above all."""
    flag = pd.Series(np.arange(400) % 2, dtype="float64")
    for often in (0.0, 1.0):
        history, new, ordered = drift.codes(flag, flag.replace(often, value))
        tables = (np.bincount(code, minlength=8)[None].astype(float) for code in (history, new))
        assert drift.distances(*tables, ordered) == 0.5


def test_categories_beyond_the_most_frequent_share_a_bin() -> None:
    """Frequency is that of both parts together; null has no bin."""
    left, right, ordered = drift.codes(series("x", "y", "y", None), series("z", "y", "x"))
    assert (left.tolist(), right.tolist(), ordered) == ([1, 0, 0, -1], [2, 0, 1], False)
    assert left.dtype.kind == right.dtype.kind == "i"
    many = pd.Series([f"c{i}" for i in range(500)], dtype="object")
    assert drift.codes(many, many[:3])[0].max() == drift.BINS
    assert (drift.codes(many, many[:3])[0] == drift.BINS).sum() == 300


def test_histograms_count_rows_by_piece_and_bin() -> None:
    """A row without a value counts nowhere; a piece without rows stays."""
    table = drift.histograms(np.array([0, 1, 1, -1, 0]), np.array([0, 0, 0, 1, 2]), 3)
    assert table.tolist() == [[1, 2, 0], [0, 0, 0], [1, 0, 0]]


def test_distances_of_two_histograms() -> None:
    """Kolmogorov-Smirnov in order, total variation without; nothing against nothing is no distance."""
    left, right = np.array([[4.0, 0, 4], [0, 0, 0], [1, 1, 0]]), np.array([[2.0, 2, 0], [1, 0, 0], [0, 0, 0]])
    assert drift.distances(left, right, True).tolist() == [0.5, 0, 0]
    assert drift.distances(left, right, False).tolist() == [0.5, 0, 0]
    three = np.array([[1.0, 0, 1]]), np.array([[0.0, 2, 0]])
    assert drift.distances(*three, True).tolist() == [0.5]
    assert drift.distances(*three, False).tolist() == [1.0]
    one = np.array([[2.0, 0], [1, 0]]), np.array([[0.0, 1], [0, 1]])
    assert drift.distances(*one, False).tolist() == [1.0, 1.0]


def test_the_distance_of_numbers_is_that_of_kolmogorov_and_smirnov() -> None:
    """Within a two-hundredth of SciPy's, which looks at every row."""
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=3000), rng.normal(0.4, 1.3, 2000)
    found = drift.shift("x", pd.Series(old), pd.Series(new), np.arange(3000) // 30, 10)
    assert found.distance == pytest.approx(stats.ks_2samp(old, new).statistic, abs=1 / 200)
    assert found.name == "x"


def test_every_run_is_compared_with_the_rest() -> None:
    """Three runs of two among four pieces, the last one too."""
    inside, outside = drift.runs(np.array([[1.0], [2], [4], [8]]), 2)
    assert inside.tolist() == [[3], [6], [12]]
    assert outside.tolist() == [[12], [9], [3]]


def test_the_usual_is_the_largest_distance_of_a_run() -> None:
    """Blocks a a b b: runs of two lie 1, 0 and 1 from the rest; a new c is all new, a new "a b" is not."""
    history, pieces = series("a", "a", "b", "b"), np.arange(4)
    assert drift.shift("x", history, series("c"), pieces, 2) == drift.Shift("x", 1.0, 1.0)
    assert drift.shift("x", history, series("a", "b", "b", "b"), pieces, 1) == drift.Shift(
        "x", 0.25, pytest.approx(2 / 3)
    )
    nothing = series(None, None, None, None, dtype="float64")
    assert drift.shift("x", nothing, nothing, pieces, 2) == drift.Shift("x", 0.0, 0.0)


def test_blocks_become_pieces_and_a_run_takes_half_at_most() -> None:
    """Blocks keep their order; thousands are merged, and the run shrinks with them."""
    pieces, run = drift.layout(np.array([7, 3, 3, 9, 11]), 1)
    assert (pieces.tolist(), run) == ([1, 0, 0, 2, 3], 1)
    assert drift.layout(np.arange(10), 5)[1] == 5
    assert drift.layout(np.arange(10), 8)[1] == 5
    assert drift.layout(np.arange(11), 8)[1] == 5
    assert drift.layout(np.arange(2000), 300)[1] == 300
    pieces, run = drift.layout(np.arange(6000), 300)
    assert (pieces.max(), run, set(np.bincount(pieces))) == (drift.PIECES - 1, 100, {3})
    assert drift.layout(np.arange(6000), 1)[1] == 1


def shifts(frame: pd.DataFrame, new: pd.DataFrame, contract: Any) -> dict[str, float]:
    """By how much each aspect of `new` lies further from `frame` than runs of three of its days do."""
    days = (frame["when"] - frame["when"].min()).dt.days.to_numpy()
    return {s.name: s.distance - s.usual for s in drift.shifts(frame, new, contract, days, 3)}


def test_only_the_column_that_moved_is_beyond_history(rows_of: Make, contract_of: Make) -> None:
    """A unit, a collapse, a burst of nulls, a flipped balance; and nothing where nothing moved."""
    frame, new, contract = rows_of(4000), rows_of(1200, seed=1), contract_of()
    assert max(shifts(frame, new, contract).values()) < 0.05
    rare = frame.assign(late=(frame["size"] > 90).astype(int))
    for base, harm, aspect, least in [
        (frame, {"size": new["size"] * 1000}, "size", 0.9),
        (frame, {"place": "a"}, "place", 0.5),
        (frame, {"size": new["size"].mask(np.arange(1200) % 5 < 2)}, "size null", 0.25),
        (frame, {"open": True}, "open", 0.4),
        (frame, {"when": new["when"].dt.normalize()}, "when minute", 0.8),
        (rare, {"late": 1 - (new["size"] > 90).astype(int)}, "late", 0.7),
    ]:
        found = shifts(
            base, new.assign(**({"late": (new["size"] > 90).astype(int)} if base is rare else {}) | harm), contract
        )
        assert {name for name, beyond in found.items() if beyond > 0.05} == {aspect}
        assert found[aspect] > least


def test_too_short_a_history_says_nothing(rows_of: Make, contract_of: Make) -> None:
    """Three blocks are too few, four are enough."""
    frame, contract = rows_of(200), contract_of()
    assert drift.shifts(frame, frame, contract, np.arange(200) % 3, 1) == []
    assert len(drift.shifts(frame, frame, contract, np.arange(200) % 4, 1)) == 7
