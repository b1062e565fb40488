"""`params.yaml`: every mistake is named by its key, in one line."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from {{ cookiecutter.project_slug }} import config, document
from {{ cookiecutter.project_slug }}.errors import InputError

ROOT = Path(config.__file__).resolve().parents[1]


@pytest.fixture
def load(tmp_path: Path, params_dict: Callable[..., dict[str, Any]]) -> Callable[..., config.Params]:
    """Write a `params.yaml` with changes and load it."""

    def write_and_load(**changes: Any) -> config.Params:
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(params_dict(**changes)))
        return config.load(path)

    return write_and_load


def expecting(**changes: Any) -> dict[str, Any]:
    """A block `posttrain` with one direction."""
    one = {"column": "size", "low": 1, "high": 2, "expect": "up"}
    return {"directions": [{**one, **changes}], "functionality": [], "cases": 20}


def with_given(**changes: Any) -> dict[str, Any]:
    """A block `posttrain` with one minimum functionality."""
    return {"directions": [], "functionality": [{"given": {"size": 1}, **changes}], "cases": 20}


def test_the_shipped_file_is_valid() -> None:
    """Every gate that it declares has a test, and the other way round."""
    params = config.load(ROOT / "params.yaml")
    for stage, declared in (("pretrain", params.gates.pretrain), ("posttrain", params.gates.posttrain)):
        files = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / stage).glob("test_*.py")}
        assert files == set(declared)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seeds": 1}, "unknown key seeds"),
        ({"seed": ...}, "missing key seed"),
        ({"validate": {"min_rows": 0}}, r"validate\.min_rows: .*\(found 0\)"),
        ({"train": {"fold": 3}}, r"unknown key train\.fold"),
        ({"train": {"cost": {"false_positive": ...}}}, r"missing key train\.cost\.false_positive"),
        ({"train": {"estimator": "no dots"}}, r"train\.estimator"),
        ({"split": {"by": "chance"}}, r"split\.by: .*'chance'"),
        ({"split": {"test_share": 1.0}}, r"split\.test_share"),
        ({"posttrain": {"directions": [], "cases": 20}}, r"missing key posttrain\.functionality"),
        ({"posttrain": expecting(expect="sideways")}, r"posttrain\.directions\.0\.expect: .*'sideways'"),
        ({"posttrain": expecting(class_="long")}, r"unknown key posttrain\.directions\.0\.class_"),
        ({"posttrain": with_given(above=0.1, below=0.2)}, "needs above or below, and not both"),
        ({"posttrain": with_given()}, "needs above or below, and not both"),
        ({"posttrain": with_given(given={}, above=0.1)}, r"posttrain\.functionality\.0\.given"),
        ({"gates": {"pretrain": {}}}, r"gates\.pretrain"),
        ({"gates": {"confidence": 0.5}}, r"gates\.confidence"),
        ({"gates": {"pretrain": {"first": {"limit": float("inf")}}}}, r"gates\.pretrain: .*first\.limit is inf"),
        ({"gates": {"posttrain": {"last": {"limit": float("nan")}}}}, r"last\.limit is nan"),
        ({"promote": {"non_inferiority_margin": float("inf")}}, r"promote\.non_inferiority_margin"),
        ({"train": {"cost": {"false_negative": float("nan")}}}, r"train\.cost\.false_negative"),
        ({"ingest": {"start": "2024-02-01", "end": "2024-02-01"}}, "start must lie before end"),
        ({"ingest": {"start": "2024-01-01T00:00:00Z", "end": "2024-02-01"}}, "without a time zone"),
        ({"ingest": {"end": 2024}}, "without a time zone"),
        ({"monitor": {"alarms": 4}}, "monitor: Value error, alarms cannot exceed windows"),
    ],
)
def test_a_mistake_is_named_by_its_key(load: Callable[..., config.Params], changes: Any, said: str) -> None:
    """One line, which says where and what."""
    with pytest.raises(InputError, match=said) as caught:
        load(**changes)
    assert "\n" not in str(caught.value)


def test_a_block_is_not_printed(load: Callable[..., config.Params]) -> None:
    """A source may hold a password, and the line ends in a log."""
    with pytest.raises(InputError, match="ingest: Value error, start must lie before end$"):
        load(ingest={"source": "postgresql://me:hush@here/db", "start": "2024-02-01", "end": "2024-02-01"})


def test_an_expectation_may_name_a_class(load: Callable[..., config.Params]) -> None:
    """Under the key `class`."""
    params = load(posttrain=expecting(**{"class": "long"}))
    assert params.posttrain.directions[0].class_ == "long"
    limits = [load(posttrain=with_given(**one)).posttrain.functionality[0] for one in ({"above": 0}, {"below": 0.0})]
    assert [(one.above, one.below, one.class_) for one in limits] == [(0.0, None, None), (None, 0.0, None)]


def test_two_mistakes_are_both_named(load: Callable[..., config.Params]) -> None:
    """Nobody mends a file one run at a time."""
    with pytest.raises(InputError, match=r"missing key seed.*; .*unknown key extra"):
        load(seed=..., extra=1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is missing"),
        (b"a: [", "is not valid YAML"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"", "the file: "),
        (b"seed: 1\nsplit:\n  by: time\n  by: hash\n", 'not valid YAML: .*found duplicate key "by"'),
    ],
)
def test_a_file_that_is_no_mapping_says_so(tmp_path: Path, content: bytes | None, said: str) -> None:
    """Missing, broken, not text, or empty."""
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        config.load(path)
    assert "\n" not in str(caught.value)


def test_dates_may_be_bare(load: Callable[..., config.Params]) -> None:
    """An unquoted YAML date is midnight."""
    params = load(ingest={"start": dt.date(2024, 1, 1), "end": None})
    assert params.ingest.start == dt.datetime(2024, 1, 1)


def test_numbers_are_read_as_dvc_reads_them() -> None:
    """Also without a point, which YAML 1.1 takes for text; a country's code stays text."""
    assert document.parse("{a: 1e-9, b: [no, 010]}") == {"a": 1e-9, "b": ["no", 10]}
