"""Each slice is judged on its own rows, and a false alarm is no likelier for there being many."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from {{ cookiecutter.project_slug }}.gates import intervals, slices

BLOCKS = np.repeat(np.arange(30), 20)


def judge(gain: np.ndarray, floor: float = 0.0, harm: float = 0.5, **columns: object) -> dict[str, slices.Slice]:
    """The slices by name."""
    return {found.name: found for found in slices.judge(gain, BLOCKS, pd.DataFrame(columns), floor, harm, 0.95)}


def test_a_harmed_slice_fails_and_the_others_pass() -> None:
    """By column and value; rows are counted, nulls are no slice."""
    rng = np.random.default_rng(0)
    place = np.array(["a", "b", "c", None] * 150, dtype=object)
    gain = rng.normal(0, 0.1, 600) + np.where(place == "b", -0.2, 0.2)
    found = judge(gain, place=place, flag=np.arange(600) % 8 < 4)
    assert {name: part.verdict for name, part in found.items()} == {
        "place=a": "pass", "place=b": "fail", "place=c": "pass", "flag=False": "pass", "flag=True": "pass",
    }  # fmt: skip
    assert [found[name].rows for name in ("place=a", "flag=True")] == [150, 300]
    assert found["place=b"].found is not None
    assert found["place=b"].found.value == pytest.approx(gain[place == "b"].mean())
    assert judge(gain, floor=-0.5, place=place)["place=b"].verdict == "pass"


def test_a_slice_in_which_harm_could_not_be_seen_is_insufficient() -> None:
    """Too noisy for the harm that matters, or in one block only; surely below the floor comes first."""
    rng = np.random.default_rng(1)
    place = np.array(["a"] * 580 + ["b"] * 20)
    gain = rng.normal(0.3, 1, 600)
    found = judge(gain, place=place)
    assert (found["place=a"].verdict, found["place=b"].verdict) == ("pass", "insufficient")
    assert found["place=b"].found is None
    assert found["place=b"].adjusted == 1.0
    assert judge(gain, harm=0.001, place=place)["place=a"].verdict == "insufficient"
    assert judge(gain - 2, harm=0.001, place=place)["place=a"].verdict == "fail"


def test_many_equal_slices_raise_few_false_alarms() -> None:
    """Of 40 slices without harm, 5 % tests would close the gate in most runs; adjusted, in few."""
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(20):
        place = rng.integers(0, 40, 600).astype(str)
        found = slices.judge(rng.normal(0, 1, 600), BLOCKS, pd.DataFrame({"place": place}), 0.0, 9.0, 0.95)
        alarms += any(part.verdict == "fail" for part in found)
    assert alarms <= 4


def test_no_slice_column_is_no_slice() -> None:
    """An empty list is a choice, too."""
    assert slices.judge(np.zeros(600), BLOCKS, pd.DataFrame(index=range(600)), 0.0, 0.1, 0.95) == []


def test_slices_of_several_columns_overlap_and_are_adjusted_for_any_dependence() -> None:
    """Benjamini and Hochberg within a column; with a second one, Benjamini and Yekutieli over all."""
    rng = np.random.default_rng(3)
    gain = rng.normal(-0.03, 0.3, 600)
    place, half = rng.choice(["a", "b", "c"], 600), rng.choice(["x", "y"], 600)

    def p_values(names: list[str]) -> list[float]:
        parts = [gain[(place == name) | (half == name)] for name in names]
        units = [BLOCKS[(place == name) | (half == name)] for name in names]
        found = [intervals.estimate(g, u, 0.95) for g, u in zip(parts, units, strict=True)]
        return [intervals.p_value_below(estimate, 0.0) for estimate in found]

    one = [part.adjusted for part in judge(gain, place=place).values()]
    assert one == stats.false_discovery_control(p_values(["a", "b", "c"]), method="bh").tolist()
    both = [part.adjusted for part in judge(gain, place=place, half=half).values()]
    assert both == stats.false_discovery_control(p_values(["a", "b", "c", "x", "y"]), method="by").tolist()
    assert 0 < min(one) < 1
