"""A leak is seen in whatever shape, alone or split over columns; a feature that merely helps is not one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_info

from {{ cookiecutter.project_slug }}.gates import strength

Make = Callable[..., Any]
ROWS = 3000


def alone(frame: pd.DataFrame, contract: Any, blocks: np.ndarray | None = None) -> dict[str, float]:
    """The strength of each feature, with rows as blocks unless told."""
    return strength.alone(frame, contract, np.arange(len(frame)) if blocks is None else blocks)


def together(frame: pd.DataFrame, contract: Any, blocks: np.ndarray | None = None) -> tuple[float, list[str]]:
    """The AUC of the features together, and the two that matter."""
    names = contract.inputs
    probes = strength.probe(frame, contract, np.arange(len(frame)) if blocks is None else blocks, names)
    auc, fits = strength.together(probes)
    return auc, strength.telling(fits, list(strength.views(frame, contract, names)))


def test_answers_are_classes_or_halves(contract_of: Make) -> None:
    """In the order of the contract; a numeric target is cut at its median, which belongs to the lower half."""
    frame = pd.DataFrame({"late": [1, 0, 1], "status": ["middle", "short", "long"], "minutes": [3.0, 1.0, 2.0]})
    assert strength.answers(frame, contract_of()).tolist() == [1, 0, 1]
    assert strength.answers(frame, contract_of("multiclass")).tolist() == [2, 0, 1]
    assert strength.answers(frame, contract_of("regression")).tolist() == [1, 0, 0]


@pytest.mark.parametrize("role", ["time", "feature"])
@pytest.mark.parametrize(("unit", "much"), [("h", 1), ("D", 7)])
def test_a_time_tells_by_its_hour_and_its_weekday(rows_of: Make, contract_of: Make, role: str, unit: str, much: int
                                                  ) -> None:  # fmt: skip
    """A time that was written down afterwards; null is neither, and the rows' own date tells nothing."""
    contract = contract_of(when={"role": role, "nullable": True})
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(ROWS) * much, unit=unit).floor("7D")
    frame = rows_of(ROWS)
    late = frame["late"].to_numpy()
    told = days + pd.to_timedelta(late * 9 if unit == "h" else late * 2, unit=unit)
    frame = frame.assign(when=pd.Series(told, index=frame.index).mask(np.arange(ROWS) % 10 == 0))
    assert alone(frame, contract)["when"] > 0.93
    auc, names = together(frame, contract)
    assert auc > 0.93
    assert names[0] == ("when minute" if unit == "h" else "when weekday")
    later = frame.assign(when=pd.Timestamp("2024-01-01") + pd.to_timedelta(late * 70, unit="D"))
    assert (alone(later, contract)["when"] > 0.99) == (role == "feature")


@pytest.mark.parametrize("role", ["time", "feature"])
def test_the_views_of_a_time(rows_of: Make, contract_of: Make, role: str) -> None:
    """Its minute of the day, its weekday, and, of a feature, its date; null is none."""
    when = pd.Series(pd.to_datetime(["2024-01-01 13:45", None, "2024-01-07 00:01"]))
    frame, contract = rows_of(3).assign(when=when), contract_of(when={"role": role, "nullable": True})
    found = strength.views(frame, contract, ["when"])
    day = {} if role == "time" else {"when": ([0.0, np.nan, 468_960.0], "datetime")}
    told = day | {"when minute": ([825.0, np.nan, 1.0], "float"), "when weekday": ([0.0, np.nan, 6.0], "category")}
    assert {name: kind for name, (_, kind) in found.items()} == {name: kind for name, (_, kind) in told.items()}
    for name, (values, _) in found.items():
        np.testing.assert_array_equal(values, told[name][0])
    assert {values.dtype.name for values, _ in strength.views(frame[::2], contract, ["when"]).values()} == {"float64"}


def test_the_probe_is_fitted_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the last bits of its sums would depend on the machine."""
    seen = []

    def fit(model: HistGradientBoostingClassifier, x: np.ndarray, y: np.ndarray) -> HistGradientBoostingClassifier:
        seen.extend(one["num_threads"] for one in threadpool_info() if one["user_api"] == "openmp")
        return model

    monkeypatch.setattr(HistGradientBoostingClassifier, "fit", fit)
    strength.trees(np.zeros((4, 1)), np.array([0, 1, 0, 1]), 2)
    assert set(seen) == {1}


def test_a_target_half_of_which_is_its_greatest_value_has_two_classes(contract_of: Make) -> None:
    """Censored, or capped: those at the cap against the others."""
    frame = pd.DataFrame({"minutes": [9.0, 9.0, 9.0, 1.0, 2.0]})
    assert strength.answers(frame, contract_of("regression")).tolist() == [1, 1, 1, 0, 0]


def test_halves_alternate_by_block() -> None:
    """By row when there is one block, which would leave nothing to score on."""
    assert strength.halves(np.array([9, 4, 4, 7, 9])).tolist() == [True, True, True, False, True]
    assert strength.halves(np.array([5, 5, 5])).tolist() == [True, False, True]


def test_area_counts_pairs_and_halves_ties() -> None:
    """Of (positive, negative) pairs the share in order; entries may stand for many rows."""
    yes, score = np.array([1.0, 0, 1, 0, 1]), np.array([3.0, 1, 2, 2, 0])
    assert strength.area(yes, 1 - yes, score) == pytest.approx(roc_auc_score(yes, score)) == pytest.approx(3.5 / 6)
    assert strength.area(np.array([1.0, 3]), np.array([2.0, 5]), np.array([0.0, 1])) == pytest.approx(
        (3 * 2 + (3 * 5 + 1 * 2) / 2) / 28
    )
    assert strength.area(np.ones(3), np.zeros(3), np.arange(3.0)) == 0.5
    assert strength.area(np.empty(0), np.empty(0), np.empty(0)) == 0.5


def test_classes_that_do_not_occur_do_not_count() -> None:
    """The mean over the others, each against the rest."""
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 3, 90), rng.random((90, 4))
    expected = [roc_auc_score(y == k, scores[:, k]) for k in range(3)]
    assert strength.one_against_rest(np.eye(4)[y], scores) == pytest.approx(np.mean(expected))
    assert strength.one_against_rest(np.zeros((2, 2)), np.zeros((2, 2))) == 0.5


def test_the_order_of_few_known_values_is_chance() -> None:
    """Thirty rows of either class are needed; direction does not matter, nulls do not count."""
    y = np.repeat([0, 1], [50, 30])
    values = np.arange(80.0)
    assert strength.monotone(values, y) == 1
    assert strength.monotone(-values, y) == 1
    assert strength.monotone(values[:79], y[:79]) == 0.5
    assert strength.monotone(values[:79], 1 - y[:79]) == 0.5
    assert strength.monotone(np.where(values == 79, np.nan, values), y) == 0.5
    values[:40] = 200 - values[:40]
    assert strength.monotone(np.append(values, np.nan), np.append(y, 1)) == pytest.approx(0.8)


def test_bins_learn_on_one_half_and_are_scored_on_the_other() -> None:
    """A bin nobody learned has the overall shares."""
    code = np.array([0, 0, 1, 1, 0, 1, 2, 2])
    y = np.array([0, 0, 1, 1, 0, 1, 0, 1])
    fit = np.array([True, True, True, True, False, False, False, False])
    assert strength.binned(code, y, fit) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert strength.binned(code, y, ~fit) == 1
    assert strength.binned(code, y, np.ones(8, dtype=bool)) == 0.5
    assert strength.binned(code, y, np.zeros(8, dtype=bool)) == 0.5
    uneven = np.array([0, 1, 1, 1, 0, 1, 0, 1])
    fitted = np.array([True] * 4 + [False] * 4)
    # Bin 1 always won, bin 0 one of two; bin 2, unknown, is between them with 3 of 4.
    assert strength.binned(np.array([0, 0, 1, 1, 0, 1, 2, 2]), uneven, fitted) == pytest.approx((1 + 1 + 1 + 0.5) / 4)


def test_columns_become_numbers() -> None:
    """Words by rank, times as seconds from the first, nulls as NaN; a word that is empty is not a null."""
    words = strength.numbers(pd.Series(["b", None, "", "a", "b"], dtype="object"), "category")
    assert np.array_equal(words, [2, np.nan, 0, 1, 2], equal_nan=True)
    times = pd.Series(pd.to_datetime(["2024-01-02", None, "2024-01-01 23:59:00"], format="ISO8601"))
    assert np.array_equal(strength.numbers(times, "datetime"), [60, np.nan, 0], equal_nan=True)
    assert strength.numbers(pd.Series([True, False]), "bool").tolist() == [1.0, 0.0]


def test_bins_of_words_and_of_quantiles() -> None:
    """Null has bin 0; numbers are cut at quantiles of the fitted rows, and the last bin has no upper end."""
    fit = np.ones(4, dtype=bool)
    assert strength.bins(np.array([2, np.nan, 0, 1]), "category", fit).tolist() == [3, 0, 1, 2]
    values = np.arange(3200.0)
    code = strength.bins(values, "float", np.ones(3200, dtype=bool))
    assert np.bincount(code).tolist() == [0] + [100] * strength.BINS
    half = strength.bins(np.append(values, [9e9, np.nan, -5]), "int", np.append(values < 1600, [False] * 3))
    assert half[-3:].tolist() == [strength.BINS, 0, 1]
    assert (half[1600:3200] == strength.BINS).all()
    assert strength.bins(np.array([1.0, np.nan]), "float", np.array([False, True])).tolist() == [1, 0]


def test_an_honest_feature_has_its_auc(rows_of: Make, contract_of: Make) -> None:
    """In whichever direction; noise is near one half."""
    frame = rows_of(ROWS)
    found = alone(frame, contract_of())
    known = frame.dropna(subset="size")
    assert found["size"] == pytest.approx(roc_auc_score(known["late"], known["size"]), abs=0.01)
    assert alone(frame.assign(size=-frame["size"]), contract_of())["size"] == pytest.approx(found["size"], abs=0.01)
    assert 0.45 < found["open"] < 0.56
    assert set(found) == {"when", "place", "size", "open"}
    assert together(frame, contract_of())[0] < 0.97


LEAKS: dict[str, Any] = {
    "number": ("size", lambda y: np.where(y == 1, -5.0, -7.0)),
    "null": ("size", lambda y: np.where(y == 1, np.nan, 50.0)),
    "word": ("place", lambda y: np.where(y == 1, "x", "y")),
    "missing word": ("place", lambda y: np.where(y == 1, None, "y")),
    "flag": ("open", lambda y: y == 0),
    "not monotone": (
        "size",
        lambda y: np.where(y == 1, 50 + 40 * np.resize([-1, -1, 1], len(y)), 50 + np.sin(np.arange(len(y)))),
    ),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_copy_of_the_answer_has_strength_one(rows_of: Make, contract_of: Make, leak: str) -> None:
    """As a number, a word, a flag, as being null exactly then, or in an order that goes up and down."""
    frame, (column, copy) = rows_of(400), LEAKS[leak]
    frame[column] = copy(frame["late"].to_numpy())
    assert alone(frame, contract_of())[column] == pytest.approx(1.0)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_a_copy_of_other_targets_is_seen(rows_of: Make, contract_of: Make, task: str) -> None:
    """A class by number or by word, a value by its rank."""
    frame, contract = rows_of(ROWS), contract_of(task)
    target = contract.encode_target(frame[contract.target])
    assert alone(frame, contract)["size"] < 0.95
    assert alone(frame.assign(size=target.rank(pct=True)), contract)["size"] == pytest.approx(1.0, abs=0.001)
    if task == "multiclass":
        assert alone(frame.assign(place=frame["status"].str.upper()), contract)["place"] == pytest.approx(1.0)
        order = frame.assign(size=target.map({0.0: 1.0, 1.0: 3.0, 2.0: 2.0}))
        assert alone(order, contract)["size"] == pytest.approx(1.0)


def test_a_noised_copy_has_the_strength_that_is_left(rows_of: Make, contract_of: Make) -> None:
    """One answer in ten turned round leaves an AUC of about nine tenths."""
    frame = rows_of(ROWS)
    noised = np.where(np.arange(ROWS) // 2 % 10 == 0, 1 - frame["late"], frame["late"]).astype(float)
    assert alone(frame.assign(size=noised), contract_of())["size"] == pytest.approx(0.9, abs=0.01)


def test_a_category_for_each_row_knows_nothing(rows_of: Make, contract_of: Make) -> None:
    """Shares are learned on the even blocks and scored on the odd ones."""
    frame = rows_of(400).assign(place=[f"row {i}" for i in range(400)])
    assert alone(frame, contract_of())["place"] == pytest.approx(0.5)
    assert alone(frame, contract_of(), np.zeros(400, dtype=int))["place"] == pytest.approx(0.5)


def test_a_date_that_gives_the_answer_away_is_found(rows_of: Make, contract_of: Make) -> None:
    """By its value, or by being null exactly when the answer is no."""
    contract, frame = contract_of(closed={"type": "datetime", "nullable": True}), rows_of(400)
    shifted = frame["when"] + pd.to_timedelta(frame["late"] * 400, unit="D")
    assert alone(frame.assign(closed=shifted), contract)["closed"] == pytest.approx(1.0)
    seconds = np.random.default_rng(99).integers(0, 10**6, 400)
    noise = pd.Series(pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, unit="s"))
    assert alone(frame.assign(closed=noise.where(frame["late"] == 1)), contract)["closed"] == pytest.approx(1.0)
    assert alone(frame.assign(closed=noise), contract)["closed"] < 0.65


def split_leak(kind: str, y: np.ndarray) -> dict[str, np.ndarray]:
    """Two columns of which neither knows the answer `y` and both together do."""
    rng = np.random.default_rng(5)
    other = rng.integers(0, 2, len(y))
    if kind == "xor":
        return {"size": (y ^ other) * 1.0, "more": other * 1.0}
    wide = rng.normal(0, 500, len(y))
    return {"size": wide, "more": y - wide}


@pytest.mark.parametrize("kind", ["xor", "sum"])
def test_a_leak_over_two_columns_shows_in_both_together(rows_of: Make, contract_of: Make, kind: str) -> None:
    """Trees see the exclusive or, least squares the sum; alone neither column tells; both are named."""
    frame, contract = rows_of(ROWS), contract_of(more={"type": "float"})
    frame = frame.assign(**split_leak(kind, frame["late"].to_numpy()))
    single = alone(frame, contract)
    assert max(single["size"], single["more"]) < 0.56
    auc, names = together(frame, contract)
    assert auc > 0.99
    assert set(names) == {"size", "more"}
    honest = frame.assign(more=np.roll(frame["more"], 1))
    assert together(honest, contract)[0] < 0.8


def test_each_kind_of_probe_sees_what_the_other_does_not(rows_of: Make, contract_of: Make) -> None:
    """Neither is for show."""
    frame, contract = rows_of(ROWS), contract_of(more={"type": "float"}, place=..., open=...)
    found = {}
    for kind in ("xor", "sum"):
        leaky = frame.assign(**split_leak(kind, frame["late"].to_numpy()))
        trees, plane = strength.probe(leaky, contract, np.arange(ROWS), ["size", "more"])
        found[kind] = [strength.together([one])[0] for one in (trees, plane)]
    assert found["xor"][0] == pytest.approx(1.0)
    assert found["xor"][1] < 0.55
    assert found["sum"][0] < 0.7
    assert found["sum"][1] == pytest.approx(1.0)


def test_three_classes_are_told_together(rows_of: Make, contract_of: Make) -> None:
    """Each class against the rest; honest features stay below."""
    frame, contract = rows_of(ROWS), contract_of("multiclass", more={"type": "float"})
    y = strength.answers(frame, contract)
    key = np.random.default_rng(3).integers(0, 3, ROWS)
    assert together(frame.assign(more=key * 1.0), contract)[0] < 0.95
    auc, names = together(frame.assign(more=key * 1.0, size=(y + key) % 3 * 1.0), contract)
    assert auc > 0.99
    assert set(names) == {"size", "more"}


def test_a_probe_is_scored_on_what_it_has_not_seen(rows_of: Make, contract_of: Make) -> None:
    """Each half once; twice the same; of many rows, evenly spaced ones."""
    frame, contract = rows_of(400), contract_of()
    blocks = np.arange(400) // 40
    first = strength.probe(frame, contract, blocks, ["size"])
    assert [[len(fit.y) for fit in fits] for fits in first] == [[200, 200], [200, 200]]
    assert np.array_equal(first[0][0].x[:, 0], frame["size"][blocks % 2 == 1], equal_nan=True)
    assert np.array_equal(first[0][1].x[:, 0], frame["size"][blocks % 2 == 0], equal_nan=True)
    assert strength.together(first)[0] == strength.together(strength.probe(frame, contract, blocks, ["size"]))[0]
    noise = frame.assign(late=np.random.default_rng(1).integers(0, 2, 400))
    assert strength.together(strength.probe(noise, contract, blocks, ["size"]))[0] == pytest.approx(0.5, abs=0.1)


def test_a_probe_takes_rows_from_first_to_last(
    rows_of: Make, contract_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as `ROWS`, evenly spaced."""
    monkeypatch.setattr(strength, "ROWS", 101)
    frame = rows_of(401).assign(size=np.arange(401.0))
    trees = strength.probe(frame, contract_of(), np.zeros(401), ["size"])[0]
    assert sorted(np.concatenate([fit.x[:, 0] for fit in trees])) == list(range(0, 401, 4))


def test_without_features_or_classes_nothing_is_told(rows_of: Make, contract_of: Make) -> None:
    """Nothing to fit on is chance, not a failure."""
    frame, contract = rows_of(40), contract_of()
    assert strength.probe(frame, contract, np.arange(40), []) == []
    assert strength.together([]) == (0.5, [])
    one = strength.probe(frame.assign(late=0), contract, np.arange(40), ["size"])
    assert one == [[], []]
    assert strength.together(one) == (0.5, [])
    half = frame.assign(late=(np.arange(40) % 4 == 0).astype(int))
    assert [len(fits) for fits in strength.probe(half, contract, np.arange(40), ["size"])] == [1, 1]


def test_least_squares_survive_a_column_of_nulls_and_a_constant() -> None:
    """Both count for nothing; a null elsewhere counts as the mean."""
    y = np.resize([0, 1], 60)
    x = np.column_stack([y * 3.0, np.full(60, np.nan), np.full(60, 4.0)])
    with warnings.catch_warnings(action="error"):
        score = strength.plane(x, y, 2)
        assert score(x) == pytest.approx(np.eye(2)[y], abs=1e-9)
    assert score(np.array([[np.nan, np.nan, 4.0]])) == pytest.approx(np.full((1, 2), 0.5), abs=1e-9)


def test_trees_learn_nothing_of_a_column_of_nulls() -> None:
    """Which they would refuse; a value that turns up later is not read either."""
    y = np.resize([0, 1, 1], 120)
    score = strength.trees(np.column_stack([y * 1.0, np.full(120, np.nan)]), y, 2)
    late = np.column_stack([y * 1.0, np.arange(120.0)])
    assert (score(late).argmax(axis=1) == y).all()
    assert len(np.unique(score(late)[y == 1], axis=0)) == 1


def test_a_class_that_a_half_lacks_has_no_chance() -> None:
    """The scores of trees have a column for every class."""
    x = np.arange(80.0).reshape(-1, 1)
    score = strength.trees(x, np.where(x[:, 0] < 40, 0, 2), 4)
    assert score(x).shape == (80, 4)
    assert (score(x)[:, [1, 3]] == 0).all()
    assert score(x).sum(axis=1) == pytest.approx(np.ones(80))


def test_a_copy_in_many_words_is_seen(rows_of: Make, contract_of: Make) -> None:
    """Each word has a bin of its own, however many there are."""
    frame = rows_of(2000)
    words = [f"{2 * (i % 100) + y:03d}" for i, y in enumerate(frame["late"])]
    assert alone(frame.assign(place=words), contract_of(), np.arange(2000) // 100)["place"] == pytest.approx(1.0)


def test_a_bin_of_one_row_counts_in_full() -> None:
    """Its share is that of its row; one row in all tells nothing of other bins."""
    code, y = np.array([0, 1, 1, 1, 1, 0, 1]), np.array([1, 1, 1, 1, 0, 1, 0])
    assert strength.binned(code, y, np.arange(7) < 5) == 1
    assert strength.binned(np.array([0, 0, 1]), np.array([1, 1, 0]), np.arange(3) < 1) == 0.5


def test_least_squares_see_an_answer_at_any_scale() -> None:
    """A tiny column beside a wide one."""
    y = np.resize([0, 1], 60)
    x = np.column_stack([y * 1e-6, np.random.default_rng(0).normal(0, 1e6, 60)])
    assert strength.plane(x, y, 2)(x) == pytest.approx(np.eye(2)[y], abs=1e-6)


def test_the_first_of_two_equal_probes_is_taken() -> None:
    """Probes themselves have no order."""
    x, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    one, other = (strength.Fit(lambda rows, k=k: np.column_stack([-rows, rows + k]), x, y) for k in (0, 1))
    auc, fits = strength.together([[one], [other]])
    assert (auc, fits[0] is one) == (1.0, True)


def test_shuffling_takes_one_column_at_a_time_and_keeps_its_values() -> None:
    """And shuffles in the same way at every call: what is named must not change by chance."""
    x, seen = np.random.default_rng(0).normal(size=(50, 6)), []

    def score(rows: np.ndarray) -> np.ndarray:
        seen.append(rows)
        return np.column_stack([-rows.sum(axis=1), rows.sum(axis=1)])

    fit = strength.Fit(score, x, (np.random.default_rng(1).random(50) < 0.5).astype(int))
    assert len({tuple(strength.telling([fit], list("abcdef"))) for _ in range(8)}) == 1
    for column, rows in enumerate(seen[:6]):
        moved = [k for k in range(6) if not np.array_equal(rows[:, k], x[:, k])]
        assert moved == [column]
        assert sorted(rows[:, column]) == sorted(x[:, column])
