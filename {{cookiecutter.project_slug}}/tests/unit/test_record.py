"""What is written is whole, repeatable and readable, or one line says why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.errors import InputError, StoreError


def test_floats_keep_six_digits_and_non_finite_ones_become_null(tmp_path: Path) -> None:
    """NumPy scalars, tuples and nesting are plain JSON afterwards; integers and text stay as they are."""
    path = tmp_path / "deep" / "a.json"
    data = {"x": 1 / 3, "n": np.float64(123456789.0), "i": np.int64(2**60), "bad": [float("nan"), float("-inf")]}
    record.write_json(path, {**data, "t": ("é", True, None), 5: {"y": np.bool_(True)}})
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "x": 0.333333, "n": 123457000.0, "i": 2**60, "bad": [None, None], "t": ["é", True, None], "5": {"y": True},
    }  # fmt: skip
    assert path.read_bytes().endswith(b"}\n")
    assert b"\r" not in path.read_bytes()


def test_a_failing_write_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    """A kill or an error in the middle of writing is never seen by a reader."""
    path = tmp_path / "a.json"
    record.write_json(path, {"a": 1})

    def fails(partial: Path) -> None:
        partial.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        record.write_atomically(path, fails)
    assert record.read_json(path) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """The path that stands in the way is named."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write .*file/a.json"):
        record.write_json(tmp_path / "file" / "a.json", {})


@pytest.mark.parametrize(
    ("content", "said"), [(None, "is missing"), ("{", "is not readable JSON"), ("[1]", "does not hold a JSON object")]
)
def test_json_that_cannot_be_used_says_so(tmp_path: Path, content: str | None, said: str) -> None:
    """Missing, damaged, or another kind of value."""
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=said):
        record.read_json(path)


def test_a_table_comes_back_as_it_was_and_always_as_the_same_bytes(tmp_path: Path) -> None:
    """Types, nulls and order survive; the index does not."""
    frame = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", None], "c": [True, False]}, index=[7, 3])
    first, second = tmp_path / "1.parquet", tmp_path / "2.parquet"
    record.write_parquet(frame, first)
    record.write_parquet(frame.reset_index(drop=True), second)
    assert record.file_sha256(first) == record.file_sha256(second)
    pd.testing.assert_frame_equal(record.read_parquet(first), frame.reset_index(drop=True), check_dtype=False)
    assert list(record.read_parquet(first, ["b"])) == ["b"]


def test_a_missing_or_damaged_table_says_so(tmp_path: Path) -> None:
    """A truncated file is not a traceback."""
    path = tmp_path / "a.parquet"
    with pytest.raises(InputError, match="is missing"):
        record.read_parquet(path)
    path.write_bytes(b"PAR1 cut")
    with pytest.raises(InputError, match="not a readable Parquet table"):
        record.read_parquet(path)


def test_a_hash_covers_names_and_contents_in_any_order(tmp_path: Path) -> None:
    """Renaming a file, changing it, or adding one changes the hash; the order of the list does not."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_text("1")
    b.write_text("2")
    whole = record.tree_sha256([a, b], tmp_path)
    assert whole == record.tree_sha256([b, a], tmp_path)
    assert whole != record.tree_sha256([a], tmp_path)
    assert record.tree_sha256([b], tmp_path) != record.tree_sha256([b.rename(tmp_path / "c")], tmp_path)
    with pytest.raises(InputError, match="is missing"):
        record.file_sha256(tmp_path / "nope")


def test_the_hash_of_a_value_knows_no_order_of_keys() -> None:
    """Equal mappings have equal hashes; equal numbers of another type do not matter to JSON's reader."""
    assert record.value_sha256({"a": 1, "b": [1, 2]}) == record.value_sha256({"b": [1, 2], "a": 1})
    assert record.value_sha256({"a": [1, 2]}) != record.value_sha256({"a": [2, 1]})


def test_chunks_are_the_table_in_order(tmp_path: Path) -> None:
    """Their index goes on; an integer stays exact beside a null, in its chunk and in the next."""
    long = 2**60 + 1
    table = pa.table({"n": pa.array([long, None, 3, 4, 5]), "t": list("abcde")})
    parquet.write_table(table, tmp_path / "a.parquet")
    found = list(record.chunks(tmp_path / "a.parquet", rows=2))
    assert [list(part.index) for part in found] == [[0, 1], [2, 3], [4]]
    assert [value for part in found for value in part["n"].dropna()] == [long, 3, 4, 5]
    assert [value for part in record.chunks(tmp_path / "a.parquet", ["t"], 3) for value in part["t"]] == list("abcde")
    assert record.columns(tmp_path / "a.parquet") == ["n", "t"]


@pytest.mark.parametrize(("content", "said"), [(None, "is missing"), ("no table", "is not a readable Parquet")])
def test_a_table_that_cannot_be_read_in_chunks_says_so(tmp_path: Path, content: str | None, said: str) -> None:
    """As one that is read whole."""
    if content:
        (tmp_path / "a.parquet").write_text(content)
    with pytest.raises(InputError, match=said):
        list(record.chunks(tmp_path / "a.parquet"))
    with pytest.raises(InputError, match=said):
        record.columns(tmp_path / "a.parquet")


def test_a_folder_that_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    """As a file does not."""

    def stop(partial: Path) -> None:
        partial.mkdir()
        (partial / "file").touch()
        raise OSError("full")

    with pytest.raises(StoreError, match="cannot write"):
        record.write_atomically(tmp_path / "made", stop)
    assert list(tmp_path.iterdir()) == []
