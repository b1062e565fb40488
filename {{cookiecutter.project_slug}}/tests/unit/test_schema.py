"""The contract refuses what no table could hold, and says what each column is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from {{ cookiecutter.project_slug }} import schema
from {{ cookiecutter.project_slug }}.errors import InputError

FEATURE = {"x": {"type": "float"}}
TARGET = {"y": {"type": "int", "role": "target", "values": [0, 1]}}


@pytest.mark.parametrize(
    ("task", "columns", "said"),
    [
        ("binary", {**FEATURE, **TARGET, "z": TARGET["y"]}, "only one column may have role target"),
        ("binary", {**FEATURE, **TARGET, "t": {"type": "int", "role": "time"}}, "t needs type datetime"),
        ("binary", {**FEATURE, "w": {"type": "int"}}, "one column needs role: target"),
        ("binary", {**TARGET, "k": {"type": "int", "role": "key"}}, "at least one column must be a feature"),
        ("binary", {**FEATURE, "y": {"type": "int", "role": "target"}}, r"y needs values: \[negative, positive\]"),
        ("binary", {**FEATURE, "y": {**TARGET["y"], "values": [0, 1, 2]}}, "needs values"),
        ("regression", {**FEATURE, "y": {"type": "category", "role": "target"}}, "y needs type int or float"),
        ("binary", {**FEATURE, "y": {**TARGET["y"], "rôle": 1}}, r"unknown key columns\.y\.rôle"),
        ("binary", {**TARGET, "x": {"type": "category", "min": 0}}, r"columns\.x: .* int or float, not category"),
        ("binary", {**TARGET, "x": {"type": "datetime", "max": 9}}, "int or float, not datetime"),
        ("binary", {**TARGET, "x": {"type": "float", "min": 2, "max": 1}}, "min lies above max"),
        ("multiclass", {**FEATURE, **TARGET}, "multiclass target y needs values: the classes, three or more"),
        ("multiclass", {**FEATURE, "y": {**TARGET["y"], "values": [0, 1, 1]}}, "three or more"),
        ("ranking", {**FEATURE, **TARGET}, "task"),
    ],
)
def test_a_contract_that_cannot_hold_is_refused(tmp_path: Path, task: str, columns: Any, said: str) -> None:
    """In one line, naming the column."""
    path = tmp_path / "schema.yaml"
    path.write_text(yaml.safe_dump({"task": task, "columns": columns}), encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        schema.load(path)
    assert "\n" not in str(caught.value)


def test_roles_are_found_in_the_order_of_the_file(contract_of: Callable[..., schema.Schema]) -> None:
    """Keys, groups, targets and outcomes are no inputs; the time is, since features may be derived from it."""
    contract = contract_of()
    assert (contract.key, contract.time, contract.group, contract.target) == (["id"], "when", "who", "late")
    assert contract.inputs == ["when", "place", "size", "open"]
    assert contract.features("float", "bool") == ["size", "open"]
    bare = schema.Schema.model_validate({"task": "binary", "columns": {**FEATURE, **TARGET}})
    assert (bare.key, bare.time, bare.group, bare.inputs) == ([], None, None, ["x"])


def test_the_second_value_is_the_positive_class(contract_of: Callable[..., schema.Schema]) -> None:
    """Whatever its type; a null stays null, and a numeric target stays itself."""
    words = contract_of(late={"type": "category", "values": ["no", "yes"]})
    assert words.encode_target(pd.Series(["yes", "no", None])).fillna(-1).tolist() == [1.0, 0.0, -1.0]
    swapped = contract_of(late={"values": [1, 0]})
    assert swapped.encode_target(pd.Series([1, 0])).tolist() == [0.0, 1.0]
    assert contract_of("regression").encode_target(pd.Series([3, 5])).tolist() == [3.0, 5.0]


def test_classes_are_numbered_in_the_order_of_the_file(contract_of: Callable[..., schema.Schema]) -> None:
    """Each has a column of scores, except where one column says it all."""
    contract = contract_of("multiclass")
    assert contract.classes == ["short", "long", "middle"]
    assert contract.encode_target(pd.Series(["middle", "short", "else"])).fillna(-1).tolist() == [2.0, 0.0, -1.0]
    assert contract.scores("linear") == ["linear.0", "linear.1", "linear.2"]
    assert (contract_of().classes, contract_of().scores("linear")) == ([0, 1], ["linear"])
    assert (contract_of("regression").classes, contract_of("regression").scores("dummy")) == ([], ["dummy"])


def test_values_of_a_category_are_text(contract_of: Callable[..., schema.Schema]) -> None:
    """Bare numbers in YAML mean the text that the table holds after `validate`."""
    contract = contract_of(late={"type": "category", "values": [0, 1]})
    assert contract.encode_target(pd.Series(["1", "0"])).tolist() == [1.0, 0.0]
