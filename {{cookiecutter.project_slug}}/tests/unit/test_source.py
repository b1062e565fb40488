"""Whatever the source is, its rows arrive exactly, or one line says why not."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from {{ cookiecutter.project_slug }} import config, record, schema
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.stages import database, ingest, source

ROWS = [{"id": 1, "zip": "00501", "size": 9007199254740993}, {"id": "x", "open": True, "zip": None, "more": {"a": [1]}}]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
Snap = Callable[..., pd.DataFrame]


@pytest.fixture
def snap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract_of: Callable[..., schema.Schema]) -> Snap:
    """Take a snapshot of a source below the working directory; the rows of it, null as None."""
    monkeypatch.chdir(tmp_path)

    def take(name: str, query: str | None = None, start: Any = None, end: Any = None) -> pd.DataFrame:
        params = config.Ingest(source=name, query=query, start=start, end=end)
        try:
            ingest.snapshot(params, contract_of(), tmp_path / "raw.parquet")
        finally:
            assert not list(tmp_path.glob(".*"))
        rows = record.read_parquet(tmp_path / "raw.parquet")
        return rows.astype("object").where(rows.notna(), None)

    return take


@pytest.fixture
def rows_db(tmp_path: Path) -> Path:
    """A SQLite file with a table `rows`, midnight written as a day."""
    path = tmp_path / "rows.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute('CREATE TABLE rows (id INTEGER, "when" TEXT, size REAL, note TEXT)')
        rows = [(2, "2024-02-01", 0.1, None), (3, "2024-02-29 23:59:59", 1e-9, "it's 5 :x"), (1, "2024-01-31", 2.0, ""),
                (4, "2024-03-01", None, "b"), (5, "2024-03-01 08:00:00", None, "b")]  # fmt: skip
        connection.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", rows)
        connection.commit()
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "a.jsonl.gz", "a.json.zst"])
def test_json_lines_are_text_like_csv(snap: Snap, tmp_path: Path, name: str) -> None:
    """Long integers, leading zeros, a key that some rows lack; what is nested stays JSON."""
    packed = {".gz": gzip.compress, ".zst": lambda text: pa.Codec("zstd").compress(text, asbytes=True)}
    (tmp_path / name).write_bytes(packed.get(Path(name).suffix, bytes)(LINES.encode()))
    assert snap(name).to_dict("list") == {
        "id": ["1", "x"], "zip": ["00501", None], "size": ["9007199254740993", None], "open": [None, "true"],
        "more": [None, '{"a":[1]}'],
    }  # fmt: skip


def test_json_lines_of_several_files_are_one_table(snap: Snap, tmp_path: Path) -> None:
    """A key of the fortieth file alone is a column; files come in the order of their names, lines in theirs."""
    for number in range(40):
        (tmp_path / f"{number:02}.jsonl").write_text(json.dumps({"id": number, f"k{number // 39}": "it's"}) + "\n\n")
    rows = snap("*.jsonl")
    assert rows["id"].tolist() == [str(number) for number in range(40)]
    assert rows["k1"].tolist() == [None] * 39 + ["it's"]


@pytest.mark.parametrize("ending", [".csv.zst", ".csv.gz"])
def test_packed_csv_is_read_whole_or_not_at_all(snap: Snap, tmp_path: Path, ending: str) -> None:
    """DuckDB itself takes a cut .zst file for a short one."""
    text = ("id,when\n" + "".join(f"{i},{i * 7919 % 10007}\n" for i in range(50_000))).encode()
    packed = gzip.compress(text) if ending == ".csv.gz" else pa.Codec("zstd").compress(text, asbytes=True)
    (tmp_path / f"a{ending}").write_bytes(packed)
    (tmp_path / f"cut{ending}").write_bytes(packed[: len(packed) // 2])
    assert len(snap(f"a{ending}")) == 50_000
    for name in (f"cut{ending}", f"*{ending}"):
        with pytest.raises(InputError, match=r"(?i)cut\.csv.*cannot be read|cannot be read.*cut\.csv") as caught:
            snap(name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [('{"id": 1}\n{"id": \n', "Malformed JSON in file .*a.jsonl"), ('[{"id": 1}]\n', "a.jsonl .*expected records")],
)
def test_damaged_json_is_one_line(snap: Snap, tmp_path: Path, content: str, said: str) -> None:
    """With the file's name; nothing is half read."""
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        snap("a.jsonl")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "raw.parquet").exists()


def test_packed_parquet_and_mixed_kinds_are_refused(snap: Snap, tmp_path: Path) -> None:
    """One kind at a time."""
    for name in ("a.parquet.gz", "b.csv", "b.jsonl", "none"):
        (tmp_path / name).write_text(LINES)
    for name, said in (("a.parquet.gz", r"cannot read \.parquet\.gz"), ("b.*", r"cannot read \.csv, \.jsonl"),
                       ("none", "cannot read ;")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            snap(name)


def test_nothing_is_fetched_and_memory_is_bounded(tmp_path: Path) -> None:
    """An extension that is not there is an error, not a download; what spilled is gone."""
    with source.engine(tmp_path, threads=1) as (connection, spill):
        settings = "autoinstall_known_extensions", "memory_limit", "temp_directory", "threads"
        values = [connection.execute(f"SELECT current_setting('{name}')").fetchone() for name in settings]
        assert [str(value[0]) for value in values if value] == ["False", "953.6 MiB", str(spill), "1"]
        with pytest.raises(duckdb.Error):
            connection.execute("SELECT * FROM read_csv('s3://bucket/a.csv')")
    assert list(tmp_path.iterdir()) == []


def test_a_database_gives_exact_text_in_an_order_of_its_own(snap: Snap, rows_db: Path) -> None:
    """Null, empty text and the smallest numbers survive; the rows are sorted, so that equal rows are equal bytes."""
    rows = snap("sqlite:///rows.db", "SELECT * FROM rows")
    assert rows["id"].tolist() == ["1", "2", "3", "4", "5"]
    assert rows["size"].tolist() == ["2.0", "0.1", "1e-09", None, None]
    assert rows["note"].tolist() == ["", None, "it's 5 :x", "b", "b"]
    first = record.file_sha256(rows_db.parent / "raw.parquet")
    snap(f"sqlite:///{rows_db}", "SELECT * FROM rows ORDER BY id DESC")
    assert record.file_sha256(rows_db.parent / "raw.parquet") == first


def test_the_window_is_bound_and_holds_outside_the_query_too(snap: Snap, rows_db: Path) -> None:
    """A day sorts before each time of that day: midnight is in the window that begins with it, and not in the other."""
    bounds = dt.datetime(2024, 2, 1), dt.datetime(2024, 3, 1)
    bound = 'SELECT * FROM rows WHERE "when" >= :start AND "when" < :end'
    for query in (bound, "SELECT * FROM rows"):
        assert snap("sqlite:///rows.db", query, *bounds)["id"].tolist() == ["2", "3"]
    with closing(sqlite3.connect(rows_db)) as connection:
        connection.execute('UPDATE rows SET "when" = NULL')
        connection.commit()
    with pytest.raises(InputError, match="holds no rows between 2024-02-01"):
        snap("sqlite:///rows.db", bound, *bounds)


def test_rows_come_in_parts(snap: Snap, rows_db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two rows each here: the last is short, and no row is lost."""
    from pyarrow import parquet

    written: list[int] = []
    monkeypatch.setattr(database, "CHUNK", 2)
    real = parquet.ParquetWriter.write_table
    monkeypatch.setattr(parquet.ParquetWriter, "write_table", lambda self, t: (written.append(len(t)), real(self, t)))
    assert len(snap("sqlite:///rows.db", "SELECT * FROM rows")) == 5
    assert written == [2, 2, 1]


@pytest.mark.parametrize(
    ("name", "query", "said"),
    [
        ("sqlite:///rows.db", None, "ingest.query: a database needs one"),
        ("rows.csv", "SELECT 1", "ingest.query is for databases, and rows.csv is none"),
        ("sqlite:///none.db", "SELECT 1", "there is no database none.db"),
        ("sqlite://", "SELECT 1", "there is no database"),
        ("postgresql://me:hush@here/db", "SELECT 1", "holds a password.* PGPASSWORD or ~/.pgpass"),
        ("postgresql://here/db?password=hush", "SELECT 1", "holds a password"),
        ("gs://bucket/rows.csv", "SELECT 1", "gs:// is neither S3 nor a database known here"),
        ("://", "SELECT 1", "is neither S3 nor a database"),
        ("sqlite:///rows.db", "SELECT * FROM nowhere", "sqlite:///rows.db cannot be read: no such table: nowhere"),
        ("sqlite:///rows.db", "SELECT id, id FROM rows", "gives the column id twice"),
        ("sqlite:///rows.db", "SELECT * FROM rows WHERE id = :other", "asks for :other: only :start and :end"),
        ("sqlite:///rows.db", "SELECT * FROM rows WHERE id = :end", "asks for :end, and ingest.end is null"),
        ("sqlite:///rows.db", "SELECT * FROM rows WHERE id > 9", "holds no rows"),
    ],
)
def test_what_cannot_be_asked_is_refused(snap: Snap, rows_db: Path, name: str, query: str | None, said: str) -> None:
    """In one line, without the password; a database that is not there is not made."""
    (rows_db.parent / "rows.csv").write_text("id\n1\n")
    with pytest.raises(InputError, match=said) as caught:
        snap(name, query)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)
    assert sorted(path.name for path in rows_db.parent.iterdir()) == ["rows.csv", "rows.db"]


def test_postgresql_is_spoken_by_psycopg_three() -> None:
    """With or without saying so; another driver that is asked for is another driver."""
    for name in ("postgres", "postgresql", "postgresql+psycopg"):
        assert database.address(f"{name}://me@here:5433/db").drivername == "postgresql+psycopg"
    bounds = dt.datetime(2024, 1, 1), dt.datetime(2024, 2, 1)
    params = config.Ingest(source="postgresql://here/db", query="q", start=bounds[0], end=bounds[1])
    assert database.bounds(params, {"start", "end"}, False) == {"start": bounds[0], "end": bounds[1]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("é", "é"),
        (True, "true"),
        (7, "7"),
        (0.1, "0.1"),
        (float("nan"), None),
        (Decimal("1.10"), "1.10"),
        (Decimal("1E+3"), "1000"),
        (Decimal("NaN"), None),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (dt.datetime(2024, 1, 2, 3, 4, 5, 600), "2024-01-02 03:04:05.000600"),
        (dt.datetime(2024, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), "2024-01-01 22:00:00+00:00"),
        ({"b": 1, "a": ["é"]}, '{"a": ["é"], "b": 1}'),
        (b"\x00\xff", "00ff"),
        (memoryview(b"\x01"), "01"),
    ],
)
def test_a_value_is_text_that_does_not_depend_on_the_driver(value: Any, text: str | None) -> None:
    """Exact, and the same in every time zone."""
    assert database.as_text(value) == text
