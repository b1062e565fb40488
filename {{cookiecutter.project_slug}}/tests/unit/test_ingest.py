"""The snapshot holds the source's rows inside the window, from any readable file, the same bytes every time."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import config, record, schema
from {{ cookiecutter.project_slug }}.errors import InputError, StoreError
from {{ cookiecutter.project_slug }}.stages import ingest


@pytest.fixture
def snap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract_of: Callable[..., schema.Schema]
) -> Callable[..., pd.DataFrame]:
    """Take a snapshot of a source below the working directory; the rows of it."""
    monkeypatch.chdir(tmp_path)

    def take(
        source: str,
        start: Any = None,
        end: Any = None,
        contract: schema.Schema | None = None,
        query: str | None = None,
    ) -> pd.DataFrame:
        settings = config.Ingest(source=source, query=query, start=start, end=end)
        count = ingest.snapshot(settings, contract or contract_of(), tmp_path / "raw.parquet")
        rows = record.read_parquet(tmp_path / "raw.parquet")
        assert not list(tmp_path.glob(".*"))
        assert count == len(rows)
        return rows

    return take


def test_a_window_keeps_its_start_and_drops_its_end(snap: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    """Midnight belongs to the day that begins; rows without a time are for `validate` to judge."""
    times = pd.to_datetime(
        ["2024-01-31 23:59:59", "2024-02-01", "2024-02-29 23:59", "2024-03-01", None], format="ISO8601"
    )
    pd.DataFrame({"id": range(5), "when": times}).to_parquet(tmp_path / "a.parquet")
    assert snap("a.parquet", dt.datetime(2024, 2, 1), dt.datetime(2024, 3, 1))["id"].tolist() == [1, 2, 4]
    assert snap("a.parquet", dt.datetime(2024, 2, 1))["id"].tolist() == [1, 2, 3, 4]
    assert snap("a.parquet", None, dt.datetime(2024, 2, 1))["id"].tolist() == [0, 4]
    assert len(snap("a.parquet")) == 5


def test_text_stays_text_in_csv(snap: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    """Leading zeros, words like `inf` and the window all survive; an empty field is null."""
    (tmp_path / "a.csv").write_text("id,when,zip\n1,2024-01-01 08:00,00501\n2,2024-02-01 08:00,\n3,someday,inf\n")
    rows = snap("a.csv", dt.datetime(2024, 1, 1), dt.datetime(2024, 2, 1))
    assert rows["zip"].tolist() == ["00501", "inf"]
    assert rows["id"].tolist() == ["1", "3"]
    assert snap("a.csv")["zip"].isna().tolist() == [False, True, False]


def test_files_of_a_glob_are_read_together(snap: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    """Quotes and spaces in names, compressed ones, and columns in another order."""
    (tmp_path / "in put").mkdir()
    (tmp_path / "in put" / 'o\'ne "1".csv').write_text("id,when\n1,2024-01-01\n")
    with gzip.open(tmp_path / "in put" / "two.csv.gz", "wt") as stream:
        stream.write("when,id,more\n2024-01-02,2,x\n")
    rows = snap("in put/*.csv*")
    assert sorted(rows["id"]) == ["1", "2"]
    assert sorted(rows["when"]) == ["2024-01-01", "2024-01-02"]
    assert list(rows) == ["id", "when", "more"]


def test_an_absolute_path_or_glob_is_read(snap: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    """A source need not lie in the project."""
    pd.DataFrame({"id": [1]}).to_parquet(tmp_path / "a.parquet")
    assert len(snap(str(tmp_path / "a.parquet"))) == 1
    assert len(snap(f"{tmp_path}/a*.parquet")) == 1


def test_equal_sources_give_equal_bytes(snap: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    """The file's hash is the data version."""
    pd.DataFrame({"id": range(300_000)}).to_parquet(tmp_path / "source.parquet")
    hashes = set()
    for _ in range(2):
        snap("source.parquet")
        hashes.add(record.file_sha256(tmp_path / "raw.parquet"))
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("files", "source", "said"),
    [
        ({}, "nope.csv", "no file matches nope.csv"),
        ({"a.csv": ""}, "*.csv", "a.csv is empty"),
        ({"a.csv": "id,when\n"}, "a.csv", "holds no rows: "),
        ({"a.csv": "id\n1\n", "a.txt": "x"}, "a.*", "cannot read .csv, .txt"),
        ({"a.csv": "id\n1\n", "a.parquet": "x"}, "a.*", "one kind"),
        ({"a.tar.gz": "x"}, "a.tar.gz", r"cannot read \.tar\.gz"),
        ({"a.parquet": "no table"}, "a.parquet", r"a\.parquet cannot be read: "),
    ],
)
def test_a_source_that_gives_no_rows_says_why(
    snap: Callable[..., pd.DataFrame], tmp_path: Path, files: dict[str, str], source: str, said: str
) -> None:
    """One line, and no snapshot stays behind."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        snap(source)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "raw.parquet").exists()


def test_a_snapshot_that_cannot_be_written_is_not_blamed_on_the_source(tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        with pytest.raises(StoreError, match="cannot write .*missing: No such file or directory; check the folder"):
            ingest.copy(connection, "SELECT 1", tmp_path / "missing" / "a.parquet")
        with pytest.raises(duckdb.Error, match=r"nothing\.csv"):
            ingest.copy(connection, "FROM 'nothing.csv'", tmp_path / "a.parquet")


def test_a_window_beside_the_rows_says_so(snap: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    """The bounds are in the message."""
    (tmp_path / "a.csv").write_text("id,when\n1,2024-01-01\n")
    with pytest.raises(InputError, match="no rows between 2025-01-01 00:00:00 and None"):
        snap("a.csv", dt.datetime(2025, 1, 1))


def test_a_window_needs_a_time_column(
    snap: Callable[..., pd.DataFrame], tmp_path: Path, contract_of: Callable[..., schema.Schema]
) -> None:
    """Declared in the contract, and there in the source."""
    (tmp_path / "a.csv").write_text("id\n1\n")
    with pytest.raises(InputError, match="column when is missing from a.csv"):
        snap("a.csv", dt.datetime(2024, 1, 1))
    with pytest.raises(InputError, match="need a column with role: time"):
        snap("a.csv", dt.datetime(2024, 1, 1), None, contract_of(when=...))


def test_the_stage_counts_what_it_read(project: Any) -> None:
    """`reports/ingest.json` is what the gate `row_accounting` compares with."""
    pd.DataFrame({"id": [1, 2], "when": pd.to_datetime(["2024-01-01", "2025-01-01"])}).to_parquet("source.parquet")
    project.params(ingest={"start": "2024-01-01", "end": "2024-12-31"})
    ingest.main()
    report = project.report("ingest")
    assert (report["source"], report["rows"]) == ("source.parquet", 1)
    assert (report["start"], report["end"]) == ("2024-01-01 00:00:00", "2024-12-31 00:00:00")
    assert list(report["days"]) == ["2024-01-01"]
    assert (report["days"], report["covered"]) == ingest.fingerprints(ingest.OUT, schema.load())
    assert record.read_parquet(ingest.OUT)["id"].tolist() == [1]


@pytest.fixture
def daily(tmp_path: Path, contract_of: Callable[..., schema.Schema]) -> Callable[..., tuple[dict[str, str], str]]:
    """The fingerprints of a table."""

    def take(table: pd.DataFrame, contract: schema.Schema | None = None) -> tuple[dict[str, str], str]:
        table.to_parquet(tmp_path / "table.parquet", index=False, row_group_size=2)
        return ingest.fingerprints(tmp_path / "table.parquet", contract or contract_of())

    return take


TABLE = pd.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "when": pd.to_datetime(["2024-01-01 23:59:59", "2024-01-02", "2024-01-02 08:00", None], format="ISO8601"),
        "place": ["a", None, "b", "c"],
        "size": [0.1, 2.0, None, 4.0],
        "note": ["x", "y", "z", "u"],
    }
)


def test_a_day_has_its_rows_and_a_hash(daily: Any) -> None:
    """The very numbers: they must survive another DuckDB, another machine and another order of rows."""
    days, covered = daily(TABLE)
    expected = {"2024-01-01": "1 9edbb5c60129fcc7", "2024-01-02": "2 6e3090fac40dc1b6", "no time": "1 c2970e3db3f43c34"}
    assert days == expected
    digest = hashlib.md5(b"1\x1f2024-01-01 23:59:59\x1fa\x1f0.1").digest()
    assert expected["2024-01-01"] == f"1 {int.from_bytes(digest[8:], 'little'):016x}"
    assert list(days) == list(expected)
    assert daily(TABLE[::-1]) == (days, covered)
    assert daily(TABLE[["size", "when", "note", "id", "place"]]) == (days, covered)
    assert daily(TABLE.assign(note="other")) == (days, covered)


def test_the_number_of_threads_does_not_matter(daily: Any) -> None:
    """Rows in many row groups are added up in any order."""
    many = pd.concat([TABLE.iloc[:3]] * 200, ignore_index=True).assign(id=range(600))
    first = daily(many)
    assert first[0]["2024-01-01"].split()[0] == "200"
    assert [len(entry.split()[1]) for entry in first[0].values()] == [16, 16]
    assert all(daily(many) == first for _ in range(3))


def test_a_value_is_the_same_however_the_file_types_it(daily: Any) -> None:
    """Whole numbers, fractions, times and words, as such or as text; a file that another tool wrote anew."""
    first = daily(TABLE)
    assert daily(TABLE.astype({"id": "float64"})) == first
    assert (
        daily(TABLE.astype({"id": "str", "size": "str", "when": "datetime64[ms]"}).where(TABLE.notna(), None)) == first
    )
    written = TABLE.assign(when=["2024-01-01 23:59:59", "2024-01-02", "2024-01-02T08:00:00", None])
    assert daily(written) == first
    assert daily(TABLE.assign(id=[1.0, 2.5, 3.0, 4.0])) != first
    assert daily(TABLE.assign(id=["1", "x", "3", "4"])) != first


@pytest.mark.parametrize(
    "change",
    [
        {"place": ["a", None, "B", "c"]},
        {"place": ["a", "", "b", "c"]},
        {"size": [0.1, 2.0, 3.0, 4.0]},
        {"size": [0.1, 2.0000001, None, 4.0]},
        {"id": [1, 3, 2, 4]},
        {"when": pd.to_datetime(["2024-01-01 23:59:59", "2024-01-02", "2024-01-02 08:01", None], format="ISO8601")},
    ],
)
def test_a_changed_value_changes_its_day_alone(daily: Any, change: dict[str, Any]) -> None:
    """A null is no empty word; values that swap rows are other rows."""
    before, after = daily(TABLE)[0], daily(TABLE.assign(**change))[0]
    assert {day for day in before if before[day] != after[day]} == {"2024-01-02"}


def test_rows_that_come_twice_do_not_cancel(daily: Any) -> None:
    """A sum, not an exclusive or."""
    pairs = [
        daily(pd.concat([TABLE, extra, extra], ignore_index=True))[0] for extra in (TABLE.iloc[[1]], TABLE.iloc[[2]])
    ]
    assert [days["2024-01-02"].split()[0] for days in pairs] == ["4", "4"]
    assert pairs[0]["2024-01-02"] != pairs[1]["2024-01-02"]


def test_what_is_covered_is_declared_columns_and_their_types(daily: Any, contract_of: Any) -> None:
    """Another declared type or another column is another cover."""
    covered = daily(TABLE)[1]
    assert daily(TABLE, contract_of(id={"type": "float"}))[1] != covered
    assert daily(TABLE.drop(columns="size"))[1] != covered
    assert daily(TABLE, contract_of(note={"type": "category"}))[1] != covered


def test_without_a_time_there_are_no_days(daily: Any, contract_of: Any) -> None:
    """None declared, or none in the source; a quote in a name is a name."""
    assert daily(TABLE, contract_of(when=...))[0] == {}
    assert daily(TABLE.drop(columns="when"))[0] == {}
    odd = contract_of(when=..., **{'the "time"': {"type": "datetime", "role": "time"}})
    assert list(daily(TABLE.rename(columns={"when": 'the "time"'}), odd)[0]) == list(daily(TABLE)[0])


def test_a_time_that_is_text_or_has_a_zone_has_a_day(daily: Any) -> None:
    """In UTC, wherever the machine stands; text that is no time has none."""
    text = daily(TABLE.assign(when=["2024-01-01", "2024-01-02T08:00:00", "someday", None]))[0]
    assert {day: entry.split()[0] for day, entry in text.items()} == {
        "2024-01-01": "1",
        "2024-01-02": "1",
        "no time": "2",
    }
    zoned = TABLE.assign(when=TABLE["when"].dt.tz_localize("America/New_York"))
    assert list(daily(zoned)[0]) == ["2024-01-02", "no time"]


def test_a_table_that_cannot_be_read_is_one_line(tmp_path: Path, contract_of: Any) -> None:
    """And says which."""
    (tmp_path / "table.parquet").write_text("no table")
    with pytest.raises(InputError, match=r"table\.parquet cannot be read: .") as caught:
        ingest.fingerprints(tmp_path / "table.parquet", contract_of())
    assert "\n" not in str(caught.value)


def test_a_quote_in_the_name_of_the_time_column(snap: Any, tmp_path: Path, contract_of: Any) -> None:
    """The window reads it too."""
    pd.DataFrame({'a"b': pd.to_datetime(["2024-01-01", "2024-02-01"])}).to_parquet(tmp_path / "a.parquet")
    odd = contract_of(when=..., **{'a"b': {"type": "datetime", "role": "time"}})
    assert len(snap("a.parquet", dt.datetime(2024, 2, 1), None, odd)) == 1
