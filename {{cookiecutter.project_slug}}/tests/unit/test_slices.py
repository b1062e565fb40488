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
    """By column and value; rows are counted, and those without a value are a slice."""
    rng = np.random.default_rng(0)
    place = np.array(["a", "b", "c", None] * 150, dtype=object)
    gain = rng.normal(0, 0.1, 600) + np.where(place == "b", -0.2, 0.2)
    found = judge(gain, place=place, flag=np.arange(600) % 8 < 4)
    assert {name: part.verdict for name, part in found.items()} == {
        "place=a": "pass", "place=b": "fail", "place=c": "pass", "place=(null)": "pass",
        "flag=False": "pass", "flag=True": "pass",
    }  # fmt: skip
    assert [found[name].rows for name in ("place=a", "flag=True")] == [150, 300]
    assert found["place=b"].found is not None
    assert found["place=b"].found.value == pytest.approx(gain[place == "b"].mean())
    assert judge(gain, floor=-0.5, place=place)["place=b"].verdict == "pass"


def test_a_slice_in_which_harm_could_not_be_seen_is_insufficient() -> None:
    """Too noisy for the harm that matters, or in four blocks; surely below the floor comes first."""
    rng = np.random.default_rng(1)
    place = np.array(["a"] * 520 + ["b"] * 80)
    gain = rng.normal(0.3, 1, 600)
    found = judge(gain, place=place)
    assert (found["place=a"].verdict, found["place=b"].verdict) == ("pass", "insufficient")
    assert found["place=b"].found is None
    assert found["place=b"].adjusted == 1.0
    five = judge(gain, place=np.array(["a"] * 500 + ["b"] * 100))["place=b"].found
    assert five is not None
    assert five.units == 5
    assert judge(gain - 0.3, harm=0.001, place=place)["place=a"].verdict == "insufficient"
    assert judge(gain - 2, harm=0.001, place=place)["place=a"].verdict == "fail"


def test_what_lies_on_the_line_passes() -> None:
    """As likely as the confidence allows, as detectable as the harm that matters, or surely not harmed so much."""
    found = intervals.Estimate(0.0, 0.1, -0.25, 0.2, detectable=0.5, rows=9, units=3, freedom=2)
    assert slices.outcome(found, 0.25, 0.0, 0.5, 0.75) == "pass"
    assert slices.outcome(found, 0.2, 0.0, 0.5, 0.75) == "fail"
    assert slices.outcome(found, 0.25, 0.5, 0.5, 0.75) == "pass"
    assert slices.outcome(found, 0.25, 0.5, 0.375, 0.75) == "insufficient"
    assert slices.outcome(found, 0.25, 0.0, 0.25, 0.75) == "pass"
    assert slices.outcome(found, 0.25, 0.0, 0.125, 0.75) == "insufficient"


def test_a_slice_that_is_surely_good_is_sufficient() -> None:
    """However much its gain varies: a better model's varies more."""
    gain = np.random.default_rng(7).exponential(3, 600)
    one = judge(gain, harm=0.1, place=np.full(600, "a"))["place=a"]
    assert one.found is not None
    assert one.found.detectable > 0.1
    assert one.verdict == "pass"


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


def test_each_column_is_adjusted_alone_at_its_share_of_alpha() -> None:
    """Benjamini and Hochberg within a column, times the number of columns, never above one."""
    rng = np.random.default_rng(3)
    gain = rng.normal(-0.03, 0.3, 600)
    place, half = rng.choice(["a", "b", "c"], 600), rng.choice(["x", "y"], 600)

    def adjusted(column: np.ndarray, names: list[str], times: int) -> list[float]:
        parts = [(gain[column == name], BLOCKS[column == name]) for name in names]
        p = [intervals.p_value_below(*part, 0.0) for part in parts]
        return np.minimum(1, times * stats.false_discovery_control(p, method="bh")).tolist()

    one = [part.adjusted for part in judge(gain, place=place).values()]
    assert one == adjusted(place, ["a", "b", "c"], 1)
    assert 0 < min(one) < 1
    both = [part.adjusted for part in judge(gain, place=place, half=half).values()]
    assert both == adjusted(place, ["a", "b", "c"], 2) + adjusted(half, ["x", "y"], 2)
    assert max(part.adjusted for part in judge(gain + 1, place=place, half=half).values()) == 1.0


def test_what_a_slice_detects_is_what_is_seen_when_it_alone_is_harmed() -> None:
    """At alpha shared by the columns and by the slices that could be tested; one in fewer than five blocks is none."""
    rng = np.random.default_rng(4)
    gain = rng.normal(0, 0.3, 600)
    place = rng.choice(["a", "b", "c"], 600)
    place[:20], half = "z", rng.choice(["x", "y"], 600)
    found = judge(gain, place=place, half=half)
    for name, share in (("place=a", 6), ("place=c", 6), ("half=y", 4)):
        one = found[name].found
        assert one is not None
        assert one.detectable == pytest.approx(intervals.detectable_alone(one, 0.05 / share))
    assert found["place=z"].found is None
    floor = one.value + 1.6 * one.error  # below it, but not surely, and maybe by as much as it detects
    for much, verdict in ((1.001, "pass"), (0.999, "insufficient")):
        again = judge(gain, floor, one.detectable * much, half=half, more=half)["half=y"]
        assert again.verdict == verdict


def test_a_slice_that_is_alone_has_all_of_its_columns_alpha() -> None:
    """One test is not shared with any other."""
    one = judge(np.random.default_rng(5).normal(0, 0.3, 600), all=np.full(600, "x"))["all=x"].found
    assert one is not None
    assert one.detectable == pytest.approx(intervals.detectable_alone(one, 0.05))


def test_many_slices_take_more_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the share of replicates can be as small as alpha is for each, up to what memory allows."""
    monkeypatch.setattr(intervals, "DRAWS", 30 * 2100)
    gain, place = np.random.default_rng(6).exponential(1, 600) - 1.2, np.tile(np.arange(12), 50).astype(str)
    parts = [place == name for name in sorted(set(place))]
    p = [intervals.p_value_below(gain[part], BLOCKS[part], 0.0, 2100) for part in parts]
    assert [part.adjusted for part in judge(gain, place=place).values()] == stats.false_discovery_control(p).tolist()


def test_what_is_declared_and_has_no_row_is_named() -> None:
    """Numbers by their text; a column that declares nothing lacks nothing."""
    assert slices.absent(pd.Series(["b", None, "b"], dtype="object"), ["a", "b", "c"]) == ["a", "c"]
    assert slices.absent(pd.Series([1, 2]), [1, 2, 3]) == ["3"]
    assert slices.absent(pd.Series([1.5]), None) == []


def test_members_are_in_order_of_their_text() -> None:
    """Whatever the order of the rows; null comes last."""
    found = slices.members(pd.Series(["b", None, "a", "b"], dtype="object"))
    assert list(found) == ["a", "b", "(null)"]
    assert found["b"].tolist() == [True, False, False, True]
    assert found["(null)"].tolist() == [False, True, False, False]
