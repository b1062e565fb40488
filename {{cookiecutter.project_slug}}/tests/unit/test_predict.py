"""Scoring a table by a bundle."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.errors import StoreError
from {{ cookiecutter.project_slug }}.registry import tracking, versions
from {{ cookiecutter.project_slug }}.serving import predict

from . import small_project


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """The files of a registered version."""
    small_project.make(tmp_path / "p", monkeypatch)
    client = tracking.client()
    with versions.bundle(client, versions.by_alias(client, "champion")) as folder:
        yield folder


def test_predictions_are_those_of_the_evaluation(bundle, tmp_path):
    assert predict.main([str(bundle), "data/test.parquet", str(tmp_path / "out.parquet")]) == 0
    expected = record.read_parquet(Path("data/predictions.parquet"))[["predicted"]]
    pd.testing.assert_frame_equal(record.read_parquet(tmp_path / "out.parquet"), expected)


def test_missing_columns_and_missing_tables_are_one_line(bundle, tmp_path, capsys):
    record.write_parquet(small_project.rows(0, 2).drop(columns=["x", "z"]), tmp_path / "in.parquet")
    assert predict.main([str(bundle), str(tmp_path / "in.parquet"), "out.parquet"]) == 1
    assert "the champion reads x, z, which schema.yaml no longer has" in capsys.readouterr().err
    assert predict.main([str(bundle), "none.parquet", "out.parquet"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_disk_that_cannot_be_written_has_an_exit_code_of_its_own(bundle, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert predict.main([str(bundle), "data/test.parquet", str(tmp_path / "file/out.parquet")]) == StoreError.CODE
    assert capsys.readouterr().err.startswith("cannot write ")
