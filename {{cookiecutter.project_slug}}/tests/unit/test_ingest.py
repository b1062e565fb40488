"""The snapshot holds the source's rows inside the window, from any readable file, the same bytes every time."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import config, record, schema
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.stages import ingest


@pytest.fixture
def snap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract_of: Callable[..., schema.Schema]
) -> Callable[..., pd.DataFrame]:
    """Take a snapshot of a source below the working directory; the rows of it."""
    monkeypatch.chdir(tmp_path)

    def take(source: str, start: Any = None, end: Any = None, contract: schema.Schema | None = None) -> pd.DataFrame:
        settings = config.Ingest(source=source, start=start, end=end)
        count = ingest.snapshot(settings, contract or contract_of(), tmp_path / "raw.parquet")
        rows = record.read_parquet(tmp_path / "raw.parquet")
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
    assert project.report("ingest")["rows"] == 1
    assert record.read_parquet(ingest.OUT)["id"].tolist() == [1]
