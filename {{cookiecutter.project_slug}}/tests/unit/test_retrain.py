"""What a retraining begins with: the window moves forward, or stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from {{ cookiecutter.project_slug }} import config
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.monitoring import retrain

from . import small_project


@pytest.fixture
def params(tmp_path, monkeypatch):
    """A small project's params.yaml, with a window and a comment."""
    small_project.make(tmp_path / "p", monkeypatch)
    path = Path("params.yaml")
    tree = yaml.safe_load(path.read_text())
    tree["ingest"]["end"] = "2020-03-01"
    path.write_text(yaml.safe_dump(tree).replace("end: '2020-03-01'", 'end: "2020-03-01"  # a comment'))
    return path


def test_the_end_moves_and_all_else_stays(params, capsys):
    before = params.read_text()
    assert retrain.main("2020-03-15") == 0
    assert params.read_text() == before.replace('"2020-03-01"  # a comment', '"2020-03-15"  # a comment')
    assert str(config.load().ingest.end) == "2020-03-15 00:00:00"
    assert "dvc repro" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("end", "said"),
    [("20200315", "2020-03-15"), ("2020-W12-1", "2020-03-16"), ("2020-03-15T12", "2020-03-15 12:00:00")],
)
def test_however_a_time_is_written_params_can_be_read(params, end, said):
    assert retrain.main(end) == 0
    assert f'end: "{said}"' in params.read_text()
    assert config.load().ingest.end == retrain.moment(end)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("2020-03-01", "ends at 2020-03-01 00:00:00 already"),
        ("2020-02-01T12:00", "already"),
        ("soon", "END soon: write a time without a zone"),
        ("2020-03-15T00:00Z", "without a zone"),
    ],
)
def test_what_is_no_later_time_changes_nothing(params, end, told):
    before = params.read_text()
    with pytest.raises(InputError, match=told):
        retrain.main(end)
    assert params.read_text() == before


def test_where_there_is_no_window_nothing_is_moved(params, capsys):
    params.write_text(params.read_text().replace('"2020-03-01"', "null"))
    before = params.read_text()
    assert retrain.main("2020-03-15") == 0
    assert "no end to move" in capsys.readouterr().out
    params.write_text(before.replace("end: null", 'end: "2020-03-01"'))
    Path("schema.yaml").write_text(Path("schema.yaml").read_text().replace("role: time", "role: feature"))
    before = params.read_text()
    assert retrain.main("2020-03-15") == 0
    assert params.read_text() == before
