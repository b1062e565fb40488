"""Every row has its side, for a reason that does not depend on its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import config, record
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.stages import split, validate

Make = Callable[..., Any]


def by(way: str, share: float = 0.25, days: int = 3) -> config.Split:
    """The settings of a split."""
    return config.Split(by=way, test_days=days, test_share=share)  # type: ignore[arg-type]


def test_time_takes_the_last_days(rows_of: Make, contract_of: Make) -> None:
    """Three whole days, all after the others."""
    train, test = split.divide(rows_of(), contract_of(), by("time"), 7)
    assert test["when"].dt.date.nunique() == 3
    assert train["when"].max().normalize() < test["when"].min().normalize()
    assert len(train) + len(test) == 200


@pytest.mark.parametrize("way", ["hash", "group"])
def test_a_row_keeps_its_side_when_others_come_or_go(rows_of: Make, contract_of: Make, way: str) -> None:
    """Nor does the order of the table matter."""
    frame = rows_of()
    before = split.is_test(frame, contract_of(), by(way), 7)
    assert 0.05 < before.mean() < 0.5
    changed = split.is_test(frame.assign(size=1.0, open=True), contract_of(), by(way), 7)
    assert (changed == before).all()
    fewer = split.is_test(frame.iloc[::-3], contract_of(), by(way), 7)
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
    small, large = (split.is_test(frame, contract, by("hash", share), 1) for share in (0.2, 0.3))
    assert small.mean() == pytest.approx(0.2, abs=0.02)
    assert (large | ~small).all()


def test_a_group_is_on_one_side(rows_of: Make, contract_of: Make) -> None:
    """No entity is in both parts."""
    train, test = split.divide(rows_of(), contract_of(), by("group"), 7)
    assert not set(train["who"]) & set(test["who"])
    assert set(train["who"]) | set(test["who"]) == set(rows_of()["who"])


def test_strata_have_their_share_each(rows_of: Make, contract_of: Make) -> None:
    """Of each class, to the row; of each tenth of a numeric target."""
    frame = rows_of(400)
    chosen = split.is_test(frame, contract_of(), by("stratified"), 7)
    moved = split.is_test(frame.set_index(frame.index + 1000), contract_of(), by("stratified"), 7)
    assert moved.equals(chosen.set_axis(frame.index + 1000))
    for _, part in chosen.groupby(frame["late"]):
        assert part.sum() == round(len(part) * 0.25)
    chosen = split.is_test(frame, contract_of("regression"), by("stratified"), 7)
    tenths = pd.qcut(frame["minutes"], 10, labels=False)
    assert (chosen.groupby(tenths).sum() == 10).all()


def test_without_a_key_the_whole_row_is_its_name(rows_of: Make, contract_of: Make) -> None:
    """Equal rows then share a side."""
    frame = pd.concat([rows_of(50), rows_of(50)], ignore_index=True)
    contract = contract_of(id=...)
    chosen = split.is_test(frame, contract, by("hash"), 7).to_numpy()
    assert (chosen[:50] == chosen[50:]).all()
    assert 0 < chosen.mean() < 1


def test_outcomes_end_here_and_the_order_stays(rows_of: Make, contract_of: Make) -> None:
    """What is known only afterwards is in neither part."""
    for part in split.divide(rows_of(), contract_of(), by("hash"), 7):
        assert "delay" not in part
        assert part["id"].is_monotonic_increasing


@pytest.mark.parametrize(("way", "role"), [("time", "when"), ("group", "who")])
def test_a_needed_role_is_named(rows_of: Make, contract_of: Make, way: str, role: str) -> None:
    """A time split without a time column is a mistake in one of two files."""
    with pytest.raises(InputError, match=f"split.by: {way} needs a column with role: {way}"):
        split.divide(rows_of(), contract_of(**{role: ...}), by(way), 7)


def test_an_empty_or_constant_part_is_refused(rows_of: Make, contract_of: Make) -> None:
    """Nothing could be learned from it, or measured on it."""
    with pytest.raises(InputError, match="no train rows"):
        split.divide(rows_of(), contract_of(), by("time", days=30), 7)
    with pytest.raises(InputError, match="no test rows"):
        split.divide(rows_of(4), contract_of(), by("hash", share=0.0001), 7)
    frame = rows_of().assign(late=lambda f: (f["when"] < "2024-01-05").astype(int))
    with pytest.raises(InputError, match="target late is constant in the test rows"):
        split.divide(frame, contract_of(), by("time"), 7)


@pytest.mark.parametrize("timed", [True, False])
def test_the_stage_writes_both_parts(project: Any, rows_of: Make, contract_of: Make, timed: bool) -> None:
    """And says how many rows each has; the first test time where there is one."""
    project.params(split={"by": "time" if timed else "hash"})
    record.write_parquet(rows_of(), validate.VALID)
    if not timed:
        text = (project.root / "schema.yaml").read_text().replace("role: time", "role: feature")
        project.write("schema.yaml", text)
    split.main()
    train, test = record.read_parquet(split.TRAIN), record.read_parquet(split.TEST)
    report = project.report("split")
    assert report["by"] == ("time" if timed else "hash")
    assert report["rows"] == {"train": len(train), "test": len(test)}
    assert report.get("first_test_time") == (str(test["when"].min()) if timed else None)
