"""A version's reference: histograms of whole days, and no row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import record, schema
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import drift, reference

Contracts = Callable[..., schema.Schema]


def table(days: int, rows: int, task: str = "binary", seed: int = 0) -> pd.DataFrame:
    """`rows` rows on each of `days` days, with nulls and categories."""
    random, n = np.random.default_rng(seed), days * rows
    target = {"binary": random.integers(0, 2, n), "regression": random.normal(size=n)}.get(task)
    return pd.DataFrame({
        "id": np.arange(n),
        "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.repeat(np.arange(days), rows), "D"),
        "place": random.choice(["a", "b"], n),
        "size": pd.Series(random.uniform(0, 100, n)).mask(random.random(n) < 0.1),
        "open": random.random(n) < 0.5,
        {"binary": "late", "multiclass": "status", "regression": "minutes"}[task]:
            random.choice(["short", "long", "middle"], n) if target is None else target,
    })  # fmt: skip


def predictions(test: pd.DataFrame, contract: schema.Schema) -> pd.DataFrame:
    """What `evaluate` writes: a model that says 0.25, or the first class for sure; a dummy that says a half."""
    actual = contract.encode_target(test[contract.target])
    found = pd.DataFrame({"actual": actual.to_numpy()})
    for name, said in (("predicted", 0.25), ("dummy", 0.5)):
        columns = contract.scores(name)
        values = [1.0, 0.0, 0.0] if len(columns) == 3 else [said]
        found[columns] = np.tile(values, (len(test), 1))
    found.loc[1:, contract.scores("dummy")] = 0.4  # the first row speaks for all
    return found


def made(contract: schema.Schema, path: Path, private: dict[str, str] | None = None, task: str = "binary") -> Any:
    """Written and read again: eight days to train, two to test, of five rows each."""
    rows = table(10, 5, task)
    train, test = rows.iloc[:40], rows.iloc[40:].reset_index(drop=True)
    kept = reference.build(train, test, predictions(test, contract), contract, private or {})
    record.write_json(path / "reference.json", kept)
    return reference.read(path / "reference.json"), rows


def test_each_day_has_its_rows_in_bins(contract_of: Contracts, tmp_path: Path) -> None:
    found, rows = made(contract_of(who=...), tmp_path)
    assert found.days == [f"2024-01-{day:02d}" for day in range(1, 11)]
    assert found.rows == 50
    place = found.inputs["place"]
    for day, part in rows.groupby(rows["when"].dt.day):
        expected = part["place"].value_counts().reindex(place.bins.values, fill_value=0)
        assert place.rows[int(day) - 1].tolist() == [*expected, 0]
    assert found.inputs["size"].rows.sum() == rows["size"].notna().sum()
    assert found.inputs["size null"].rows.sum(axis=1).tolist() == [5] * 10
    assert found.answers["prediction"].rows.shape[0] == 2
    assert found.answers["prediction"].rows.sum() == 10


def test_loss_and_dummy_are_those_of_the_test_rows(contract_of: Contracts, tmp_path: Path) -> None:
    found, rows = made(contract_of(who=...), tmp_path)
    assert found.loss == pytest.approx(((0.25 - rows["late"].iloc[40:]) ** 2).mean())
    assert found.dummy.tolist() == [0.5]


def test_counting_new_values_uses_the_same_bins(contract_of: Contracts, tmp_path: Path) -> None:
    """Below and above what was seen, never seen, and null."""
    found, rows = made(contract_of(who=...), tmp_path)
    size, place = found.inputs["size"], found.inputs["place"]
    assert size.bins.rows(rows["size"]).tolist() == size.rows.sum(axis=0).tolist()
    outside = size.bins.rows(pd.Series([-1.0, 1e9, np.nan]))
    assert (outside[0], outside[-1], outside.sum()) == (1, 1, 2)
    assert place.bins.rows(pd.Series(["elsewhere", None, "a"], dtype="object")).tolist() == [
        float(value == "a") for value in place.bins.values
    ] + [1.0]


def test_no_value_of_a_row_is_kept(contract_of: Contracts, tmp_path: Path) -> None:
    """Cuts are rounded, and of private columns there is nothing."""
    found, rows = made(contract_of(who=...), tmp_path, {"size": "hash", "when": "drop"})
    assert set(found.inputs) == {"place", "open", "late"}
    found, rows = made(contract_of(who=...), tmp_path)
    assert not set(found.inputs["size"].bins.cuts) & set(rows["size"])


def test_rare_categories_share_a_bin(contract_of: Contracts) -> None:
    many = pd.Series([f"c{i:03d}" for i in range(reference.BINS + 7) for _ in range(2)], dtype="object")
    found = reference.aspect(many, np.zeros(len(many), dtype=int))
    assert len(found.bins.values) == reference.BINS
    assert found.rows[0, -1] == 14


def test_without_a_time_equal_parts_stand_in_for_days(contract_of: Contracts, tmp_path: Path) -> None:
    contract = contract_of(who=..., when=...)
    rows = table(10, 50).drop(columns="when")
    kept = reference.build(rows.iloc[:400], rows.iloc[400:], predictions(rows.iloc[400:], contract), contract, {})
    record.write_json(tmp_path / "reference.json", kept)
    found = reference.read(tmp_path / "reference.json")
    assert found.days is None
    assert found.inputs["place"].rows.sum(axis=1).tolist() == [3, 2] * (reference.PARTS // 2)


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks(contract_of: Contracts, tmp_path: Path, task: str) -> None:
    """Of classes the chosen one is compared, of numbers the number."""
    contract = contract_of(task, who=...)
    found, _ = made(contract, tmp_path, task=task)
    answers = found.answers["prediction"]
    cuts = None if task == "multiclass" else pytest.approx([0.2488, 0.2512])
    assert (answers.bins.values, answers.bins.cuts) == (["short"] if task == "multiclass" else [], cuts)
    assert len(found.dummy) == (3 if task == "multiclass" else 1)
    assert answers.rows.sum() == 10


def test_a_column_of_nulls_has_no_bins_to_fill(contract_of: Contracts) -> None:
    found = reference.aspect(pd.Series([np.nan] * 4), np.array([0, 0, 1, 1]))
    assert found.rows.tolist() == [[0], [0]]


def test_a_version_from_before_monitoring_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="carries no reference .*train and promote anew"):
        reference.read(tmp_path / "reference.json")


def test_a_damaged_reference_is_named(tmp_path: Path) -> None:
    record.write_json(tmp_path / "reference.json", {"days": []})
    with pytest.raises(InputError, match="reference.json is no reference"):
        reference.read(tmp_path / "reference.json")


def test_numbers_are_cut_halfway_between_quantiles() -> None:
    """Inverted distribution function at fiftieths, and one below and above; rounded; equal to a cut is below it."""
    values = np.exp(np.arange(1000.0) / 100)
    found = reference.binned(pd.Series([*values, np.nan]))
    exact = np.quantile(values, np.linspace(0, 1, 51), method="inverted_cdf")
    gaps = np.diff(exact)
    places = np.array([exact[0] - gaps[0] / 2, *(exact[:-1] + exact[1:]) / 2, exact[-1] + gaps[-1] / 2])
    steps = 10 ** np.floor(np.log10([gaps[0], *gaps, gaps[-1]])) / 10
    assert found.values == []
    assert (np.abs(found.cuts - places) <= 0.501 * steps).all()
    assert found.cuts / steps == pytest.approx((found.cuts / steps).round(), abs=1e-6)
    assert not set(found.cuts) & set(values)
    assert found.codes(pd.Series([0.5, found.cuts[7], found.cuts[7] + 1e-9, 1e9, np.nan])).tolist() == [0, 7, 8, 52, -1]


def test_digits_that_all_values_share_hide_nothing() -> None:
    """Of 100,400 give or take ten, a shift by ten is seen."""
    rng = np.random.default_rng(0)
    values = pd.Series(rng.normal(100_400, 10, 5000))
    found = reference.aspect(values, np.zeros(5000, dtype=int))
    kept = reference.from_json(record.rounded(reference.as_json(found)))
    moved = kept.bins.rows(values + 10)[None].astype(float)
    assert drift.distances(kept.rows.astype(float), moved, ordered=True) == pytest.approx(0.383, abs=0.02)


@pytest.mark.parametrize(("often", "value"), [(0.0, -999.0), (0.0, 0.6), (1.0, 0.5), (1.0, 1.6)])
def test_a_value_that_took_the_place_of_a_frequent_one_is_seen(often: float, value: float) -> None:
    flag = pd.Series(np.arange(400) % 2, dtype="float64")
    found = reference.binned(flag)
    assert found.cuts.tolist() == [-0.5, 0.5, 1.5]
    tables = [found.rows(part)[None].astype(float) for part in (flag, flag.replace(often, value))]
    assert drift.distances(*tables, ordered=True) == 0.5


@pytest.mark.parametrize(("value", "side"), [(5.0, 0.025), (0.0, 0.5), (-3.0, 0.015), (9.96, 0.05)])
def test_a_constant_that_moved_is_seen(value: float, side: float) -> None:
    """By half a hundredth of itself, or by a half."""
    found = reference.binned(pd.Series(np.full(9, value)))
    assert found.cuts == pytest.approx([value - side, value + side])
    assert found.rows(pd.Series([value - 2 * side, value, value + 2 * side])).tolist() == [1, 1, 1]


def test_the_most_frequent_category_comes_first_and_null_is_none() -> None:
    found = reference.binned(pd.Series(["b", "a", "b", None], dtype="object"))
    assert found.values == ["b", "a"]
    assert found.codes(pd.Series(["a", None, "z", "b"], dtype="object")).tolist() == [1, -1, 2, 0]
    assert found.rows(pd.Series(["b", "b"], dtype="object")).tolist() == [2, 0, 0]


def test_days_are_in_order_whatever_the_rows(contract_of: Contracts) -> None:
    times = pd.to_datetime(["2024-03-02 23:59", "2024-03-01 00:00", "2024-03-02 00:00"])
    code, names = reference.days_of(pd.DataFrame({"when": times}), contract_of())
    assert code.tolist() == [1, 0, 1]
    assert names == ["2024-03-01", "2024-03-02"]


def test_a_day_without_a_value_has_none(contract_of: Contracts) -> None:
    found = reference.aspect(pd.Series([1.0, np.nan, 1.0]), np.array([0, 1, 2]))
    assert found.rows.tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]
