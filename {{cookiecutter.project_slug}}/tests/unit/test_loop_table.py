"""The table of a walk: which months are served, and what each fault makes of the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import config, record
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.loop import table

from . import small_walk


def ingest(**changes: Any) -> config.Ingest:
    given = {"source": "rows.parquet", "query": None, "start": None, "end": None}
    return config.Ingest.model_validate({**given, **changes})


def test_a_full_walk_serves_every_month_after_the_first_three() -> None:
    end, served = table.months(small_walk.made(), False, ingest())
    assert (str(end.date()), [month.name for month in served]) == (
        "2020-04-01", ["2020-04", "2020-05", "2020-06", "2020-07"],
    )  # fmt: skip
    assert (str(served[0].start.date()), str(served[-1].end.date())) == ("2020-04-01", "2020-08-01")


def test_months_without_rows_are_passed_over() -> None:
    rows = small_walk.ROWS[small_walk.ROWS["when"].dt.month != 5]
    assert [month.name for month in table.months(small_walk.made(rows), False, ingest())[1]] == [
        "2020-04", "2020-06", "2020-07",
    ]  # fmt: skip


def test_a_quick_walk_serves_the_three_months_after_the_window() -> None:
    end, served = table.months(small_walk.made(), True, ingest(end="2020-02-11"))
    assert str(end.date()) == "2020-02-11"
    assert [month.name for month in served] == ["2020-02", "2020-03", "2020-04"]
    assert (str(served[0].start.date()), str(served[0].end.date())) == ("2020-02-11", "2020-03-01")


@pytest.mark.parametrize(
    ("rows", "quick", "end", "said"),
    [
        (small_walk.ROWS[small_walk.ROWS["when"].dt.month < 4], False, None, "rows in 3 months"),
        (small_walk.ROWS, True, None, "ingest.end, which is null"),
        (small_walk.ROWS, True, "2020-06-01", "has 2"),
    ],
)
def test_too_few_months_are_refused(rows: pd.DataFrame, quick: bool, end: str | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        table.months(small_walk.made(rows), quick, ingest(end=end))


def test_served_rows_are_the_months_and_a_stuck_sensor_says_one_thing() -> None:
    known = small_walk.made()
    month = table.months(known, False, ingest())[1][1]
    rows = known.served(month, ("x", 3.5))
    assert set(rows["when"].dt.month) == {5}
    assert set(rows["x"]) == {3.5}
    assert known.served(month)["x"].nunique() > 100
    assert known.before(month.start)["when"].dt.month.max() == 4


@pytest.mark.parametrize("text", [False, True], ids=["typed", "text"])
def test_faults_strike_their_month_alone(text: bool) -> None:
    """The same of typed rows and of a source whose values are text, as CSV gives them."""
    known = small_walk.made()
    months = dict(zip(table.OF_ROWS, table.months(known, False, ingest())[1], strict=False))
    frame = known.typed.astype("str") if text else known.typed
    broken = known.with_faults(frame, months, ("x", 3.5))
    month = known.times.dt.month
    assert set(broken.loc[month == 4, "x"].astype(float)) == {3.5}
    pd.testing.assert_series_equal(broken.loc[month != 4, "x"].astype(float), known.typed.loc[month != 4, "x"])
    assert (broken.loc[month == 5, "late"].astype(int) == 1 - known.typed.loc[month == 5, "late"]).all()
    assert broken.loc[month == 6, "late"].isna().all()
    same = ~month.isin([5, 6])
    assert (broken.loc[same, "late"].astype(int) == known.typed.loc[same, "late"]).all()
    assert known.typed["late"].notna().all()


def test_a_number_is_mirrored_within_its_range() -> None:
    turned = table.flipped(pd.Series([1.0, 2.0, 5.0]), small_walk.contract("regression"))
    assert turned.tolist() == [5.0, 4.0, 1.0]


def test_each_fault_has_a_month_of_its_own_and_the_last_month_none() -> None:
    _, served = table.months(small_walk.made(), False, ingest())
    many = [served[0]._replace(name=str(i)) for i in range(9)]
    spread = table.schedule(many, small_walk.contract())
    assert {fault: month.name for fault, month in spread.items()} == dict(zip(table.FAULTS, "12356", strict=True))
    short = table.schedule(served, small_walk.contract())
    assert [month.name for month in short.values()] == ["2020-04", "2020-05", "2020-06"]
    assert [*short] == [*table.FAULTS[:3]]
    columns = {**small_walk.contract().model_dump()["columns"], "x": {"type": "int"}, "z": {"type": "int"}}
    whole = small_walk.contract().model_validate({"task": "binary", "columns": columns})
    assert table.SENSOR not in table.schedule(many, whole)


def test_the_sensor_that_sticks_is_the_one_the_model_listens_to() -> None:
    rows = small_walk.ROWS
    found = table.stuck(
        rows, small_walk.contract(), lambda given: 2 * given["z"].to_numpy() + 0.1 * given["x"].to_numpy()
    )
    assert found == ("z", float(rows["z"].max()))


def test_a_source_is_read_from_its_start_on_without_what_breaks_the_contract(tmp_path: Path) -> None:
    rows = small_walk.ROWS.copy()
    rows["late"] = rows["late"].astype("float")
    rows.loc[rows.index[-1], "late"] = np.nan
    record.write_parquet(rows, tmp_path / "rows.parquet")
    source = ingest(source=str(tmp_path / "rows.parquet"), start="2020-01-02", end="2020-02-01")
    known = table.load(source, small_walk.contract(), tmp_path / "all.parquet")
    assert (len(known.raw), len(known.typed)) == (len(rows) - 20, len(rows) - 21)
    assert known.times.max() == rows["when"].max()
    assert known.typed["late"].dtype == "int64"
    assert known.sha256 == record.file_sha256(tmp_path / "all.parquet")


def test_a_source_without_a_declared_column_is_refused(tmp_path: Path) -> None:
    record.write_parquet(small_walk.ROWS.drop(columns="z"), tmp_path / "rows.parquet")
    source = ingest(source=str(tmp_path / "rows.parquet"))
    with pytest.raises(InputError, match="column z is missing"):
        table.load(source, small_walk.contract(), tmp_path / "all.parquet")


def test_a_table_without_a_time_cannot_be_walked(tmp_path: Path) -> None:
    columns = {k: v for k, v in small_walk.contract().model_dump()["columns"].items() if k != "when"}
    timeless = small_walk.contract().model_validate({"task": "binary", "columns": columns})
    with pytest.raises(InputError, match="role: time"):
        table.load(ingest(), timeless, tmp_path / "all.parquet")
