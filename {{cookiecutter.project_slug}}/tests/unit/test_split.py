"""Every row has its side, for a reason that does not depend on its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import config, record, schema
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.stages import split, validate

Make = Callable[..., Any]


def by(way: str, share: float = 0.25, days: int = 3, most: int = 1000) -> config.Split:
    """The settings of a split."""
    return config.Split(by=way, test_days=days, test_share=share, max_train_rows=most)  # type: ignore[arg-type]


def is_test(frame: pd.DataFrame, contract: schema.Schema, params: config.Split, seed: int) -> pd.Series:
    """True for the test rows."""
    return split.is_test(split.facts(frame, contract, params, seed), contract, params)


def divide(
    frame: pd.DataFrame, contract: schema.Schema, params: config.Split, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train and test rows."""
    train, test = split.divide(split.facts(frame, contract, params, seed), contract, params)
    return frame[train], frame[test]


def test_time_takes_the_last_days(rows_of: Make, contract_of: Make) -> None:
    """Three whole days, all after the others."""
    train, test = divide(rows_of(), contract_of(), by("time"), 7)
    assert test["when"].dt.date.nunique() == 3
    assert train["when"].max().normalize() < test["when"].min().normalize()
    assert len(train) + len(test) == 200


@pytest.mark.parametrize("way", ["hash", "group"])
def test_a_row_keeps_its_side_when_others_come_or_go(rows_of: Make, contract_of: Make, way: str) -> None:
    """Nor does the order of the table matter."""
    frame = rows_of()
    before = is_test(frame, contract_of(), by(way), 7)
    assert 0.05 < before.mean() < 0.5
    changed = is_test(frame.assign(size=1.0, open=True), contract_of(), by(way), 7)
    assert (changed == before).all()
    fewer = is_test(frame.iloc[::-3], contract_of(), by(way), 7)
    assert (fewer == before[fewer.index]).all()


def test_the_seed_deals_anew_and_a_larger_share_only_adds(rows_of: Make, contract_of: Make) -> None:
    """Shares of another seed are independent; those of a larger share hold the smaller one's rows."""
    frame, contract = rows_of(4000), contract_of()
    first, second = (split.shares(frame, ["id"], seed) for seed in (1, 2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05
    assert first.min() >= 0
    assert first.max() < 1
    assert first.mean() == pytest.approx(0.5, abs=0.02)
    third, same = (split.shares(frame, ["id"], seed) for seed in (-1, 2**64 - 1))
    assert (third == same).all()
    many = split.shares(pd.DataFrame({"id": np.arange(200_000)}), ["id"], 1)
    assert len(np.unique(many)) == 200_000
    small, large = (is_test(frame, contract, by("hash", share), 1) for share in (0.2, 0.3))
    assert small.mean() == pytest.approx(0.2, abs=0.02)
    assert (large | ~small).all()


def test_a_group_is_on_one_side(rows_of: Make, contract_of: Make) -> None:
    """No entity is in both parts."""
    train, test = divide(rows_of(), contract_of(), by("group"), 7)
    assert not set(train["who"]) & set(test["who"])
    assert set(train["who"]) | set(test["who"]) == set(rows_of()["who"])


def test_strata_have_their_share_each(rows_of: Make, contract_of: Make) -> None:
    """Of each class, to the row; of each tenth of a numeric target."""
    frame = rows_of(400)
    chosen = is_test(frame, contract_of(), by("stratified"), 7)
    moved = is_test(frame.set_index(frame.index + 1000), contract_of(), by("stratified"), 7)
    assert moved.equals(chosen.set_axis(frame.index + 1000))
    for _, part in chosen.groupby(frame["late"]):
        assert part.sum() == round(len(part) * 0.25)
    chosen = is_test(frame, contract_of("regression"), by("stratified"), 7)
    tenths = pd.qcut(frame["minutes"], 10, labels=False)
    assert (chosen.groupby(tenths).sum() == 10).all()


def test_without_a_key_the_whole_row_is_its_name(rows_of: Make, contract_of: Make) -> None:
    """Equal rows then share a side."""
    frame = pd.concat([rows_of(50), rows_of(50)], ignore_index=True)
    contract = contract_of(id=...)
    chosen = is_test(frame, contract, by("hash"), 7).to_numpy()
    assert (chosen[:50] == chosen[50:]).all()
    assert 0 < chosen.mean() < 1


@pytest.mark.parametrize("way", ["hash", "group", "stratified", "time"])
def test_too_many_training_rows_are_drawn_from_evenly(rows_of: Make, contract_of: Make, way: str) -> None:
    """The same rows every time, of all days and groups, whatever else the table holds; test rows are all kept."""
    frame, contract = rows_of(800), contract_of()
    (every, test), (train, same) = (divide(frame, contract, by(way, most=most), 7) for most in (800, 200))
    assert len(every) > 400
    assert (len(train), list(same.index)) == (200, list(test.index))
    assert set(train.index) < set(every.index)
    assert train["id"].is_monotonic_increasing
    assert abs(every["when"].dt.day.mean() - train["when"].dt.day.mean()) < 0.7
    assert train["who"].nunique() == every["who"].nunique()
    exactly = divide(frame, contract, by(way, most=len(every)), 7)[0]
    assert exactly.equals(every)
    other = divide(frame, contract, by(way, most=200), 8)[0]
    assert len(set(other.index) & set(train.index)) < 100


def test_the_sample_is_independent_of_the_split(rows_of: Make, contract_of: Make) -> None:
    """Else the rows left out would be those that lie next to the test rows."""
    known = split.facts(rows_of(4000), contract_of(), by("hash"), 7)
    assert abs(np.corrcoef(known["draw"], known["sample"])[0, 1]) < 0.05


def test_the_sample_depends_on_the_key_alone_and_of_equal_rows_is_the_first(rows_of: Make, contract_of: Make) -> None:
    """Or it would change with any value, or with the sort that NumPy chooses for a processor."""
    frame, contract = rows_of(), contract_of()
    before, after = (split.facts(f, contract, by("time"), 7) for f in (frame, frame.assign(size=1.0, open=True)))
    assert before["sample"].equals(after["sample"])
    alike = pd.DataFrame({"sample": [0.5] * 999}, index=range(7, 1006))
    found = split.is_train(alike, pd.Series([True] + [False] * 998, index=alike.index), 300)
    assert found.equals(pd.Series([False] + [True] * 300 + [False] * 698, index=alike.index))


@pytest.mark.parametrize(("way", "role"), [("time", "when"), ("group", "who")])
def test_a_needed_role_is_named(rows_of: Make, contract_of: Make, way: str, role: str) -> None:
    """A time split without a time column is a mistake in one of two files."""
    with pytest.raises(InputError, match=f"split.by: {way} needs a column with role: {way}"):
        divide(rows_of(), contract_of(**{role: ...}), by(way), 7)


def test_an_empty_or_constant_part_is_refused(rows_of: Make, contract_of: Make) -> None:
    """Nothing could be learned from it, or measured on it."""
    with pytest.raises(InputError, match="no train rows"):
        divide(rows_of(), contract_of(), by("time", days=30), 7)
    with pytest.raises(InputError, match="no test rows"):
        divide(rows_of(4), contract_of(), by("hash", share=0.0001), 7)
    frame = rows_of().assign(late=lambda f: (f["when"] < "2024-01-05").astype(int))
    with pytest.raises(InputError, match="target late is constant in the test rows"):
        divide(frame, contract_of(), by("time"), 7)


@pytest.mark.parametrize("way", ["time", "hash", "stratified"])
def test_the_stage_writes_both_parts(project: Any, rows_of: Make, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """And says how many rows each has; the first test time where there is one. Outcomes end here, the order stays."""
    project.params(split={"by": way})
    record.write_parquet(rows_of(), validate.VALID)
    if way != "time":
        text = (project.root / "schema.yaml").read_text().replace("role: time", "role: feature")
        project.write("schema.yaml", text)
    chunks = [record.CHUNK, 30]
    written = set()
    for size in chunks:
        monkeypatch.setattr(record, "CHUNK", size)
        split.main()
        written.add(tuple(record.file_sha256(path) for path in (split.TRAIN, split.TEST, split.REPORT)))
    assert len(written) == 1
    train, test = record.read_parquet(split.TRAIN), record.read_parquet(split.TEST)
    report = project.report("split")
    assert report["by"] == way
    assert report["rows"] == {"train": len(train), "test": len(test)}
    assert report.get("first_test_time") == (str(test["when"].min()) if way == "time" else None)
    assert "sampled" not in report
    for part in (train, test):
        assert "delay" not in part
        assert part["id"].is_monotonic_increasing


@pytest.mark.parametrize("keyed", [True, False])
def test_the_stage_says_that_it_drew(
    project: Any, rows_of: Make, capsys: pytest.CaptureFixture[str], keyed: bool
) -> None:
    """How many of how many, in the report and in one line; without a key the whole row is hashed."""
    project.params(split={"by": "hash", "max_train_rows": 50})
    if not keyed:
        project.write("schema.yaml", (project.root / "schema.yaml").read_text().replace("role: key", "role: feature"))
    record.write_parquet(rows_of(), validate.VALID)
    split.main()
    report, test = project.report("split"), record.read_parquet(split.TEST)
    assert len(record.read_parquet(split.TRAIN)) == 50
    assert report["rows"] == {"train": 50, "test": len(test)}
    assert report["sampled"] == {"of": 200 - len(test), "rows": 50}
    assert capsys.readouterr().out.splitlines() == [
        f"split: 50 training rows drawn of {200 - len(test)} (split.max_train_rows)"
    ]
