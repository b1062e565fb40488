"""A tiny table, its contract and its parameters: small enough that a test can reason about every row."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from {{ cookiecutter.project_slug }} import config, schema
from {{ cookiecutter.project_slug }}.gates import verdict

from . import small_project

COLUMNS: dict[str, Any] = {
    "id": {"type": "int", "role": "key"},
    "when": {"type": "datetime", "role": "time"},
    "who": {"type": "category", "role": "group"},
    "place": {"type": "category", "values": ["a", "b", "c"]},
    "size": {"type": "float", "nullable": True, "min": 0, "max": 100},
    "open": {"type": "bool"},
    "delay": {"type": "float", "nullable": True, "role": "outcome"},
}
TARGETS: dict[str, Any] = {
    "binary": {"late": {"type": "int", "role": "target", "values": [0, 1]}},
    "multiclass": {"status": {"type": "category", "role": "target", "values": ["short", "long", "middle"]}},
    "regression": {"minutes": {"type": "float", "role": "target"}},
}
PARAMS: dict[str, Any] = {
    "seed": 7,
    "ingest": {"source": "source.parquet", "query": None, "start": None, "end": None},
    "validate": {"min_rows": 10, "min_class_rows": 2},
    "split": {"by": "time", "test_days": 3, "test_share": 0.25, "max_train_rows": 1_000_000},
    "pretrain": {"smoke_rows": 20},
    "train": {
        "estimator": "sklearn.linear_model.LogisticRegression",
        "arguments": {},
        "encoding": "onehot",
        "folds": 3,
        "cost": {"false_positive": 1, "false_negative": 3},
    },
    "evaluate": {"slices": ["place"], "replicates": 200},
    "posttrain": {"directions": [], "functionality": [], "cases": 20},
    "gates": {
        "resample_by": "day",
        "confidence": 0.95,
        "pretrain": {"first": {"limit": 1}},
        "posttrain": {"last": {}},
    },
    "promote": {"non_inferiority_margin": 0.01, "guardrails": {}, "min_rows": 10, "min_units": 2},
    "serve": small_project.SERVE,
    "monitor": small_project.MONITOR,
}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, block by block; a key given as `...` is taken out."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if value is ...:
            del result[key]
        elif isinstance(value, dict) and isinstance(result.get(key), dict) and key not in ("pretrain", "posttrain"):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


@pytest.fixture
def contract_of() -> Callable[..., schema.Schema]:
    """A contract by task; keyword arguments change, add or (as `...`) take out columns."""

    def make(task: str = "binary", **changes: Any) -> schema.Schema:
        columns = merged({**COLUMNS, **TARGETS[task]}, changes)
        return schema.Schema.model_validate({"task": task, "columns": columns})

    return make


@pytest.fixture
def params_dict() -> Callable[..., dict[str, Any]]:
    """The content of a `params.yaml`; keyword arguments change its blocks."""
    return lambda **changes: merged(PARAMS, changes)


@pytest.fixture
def params_of(params_dict: Callable[..., dict[str, Any]]) -> Callable[..., config.Params]:
    """The parameters; keyword arguments change blocks."""
    return lambda **changes: config.Params.model_validate(params_dict(**changes))


@pytest.fixture
def rows_of() -> Callable[..., pd.DataFrame]:
    """`count` rows over 10 days in which `size` and `place` tell something about `late`, `status` and `minutes`."""

    def make(count: int = 200, seed: int = 0) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        place = rng.choice(["a", "b", "c"], count)
        size = rng.uniform(0, 100, count).round(3)
        minutes = 0.5 * size + 20 * (place == "a") + rng.normal(0, 10, count)
        hours = np.sort(rng.integers(0, 240, count))
        return pd.DataFrame(
            {
                "id": np.arange(count),
                "when": (pd.Timestamp("2024-01-01") + pd.to_timedelta(hours, unit="h")).as_unit("us"),
                "who": [f"w{i % 20}" for i in range(count)],
                "place": place,
                "size": np.where(rng.random(count) < 0.1, np.nan, size),
                "open": rng.random(count) < 0.5,
                "delay": minutes,
                "late": (minutes > 35).astype(int),
                "status": np.select([minutes < 25, minutes > 45], ["short", "long"], "middle"),
                "minutes": minutes,
            }
        )

    return make


class Project:
    """A project's folder with nothing in it but YAML files, the package and whatever a test writes."""

    def __init__(self, root: Path, params: dict[str, Any]) -> None:
        """Keep where it is and what its `params.yaml` says."""
        self.root = root
        self.params_dict = params

    def params(self, **changes: Any) -> config.Params:
        """Lay `changes` over `params.yaml`, write it, and read it back."""
        self.params_dict = merged(self.params_dict, changes)
        text = yaml.safe_dump(self.params_dict, sort_keys=False)
        (self.root / "params.yaml").write_text(text, encoding="utf-8")
        return config.load()

    def schema(self, task: str = "binary") -> schema.Schema:
        """Write `schema.yaml` for a task and read it back."""
        text = yaml.safe_dump({"task": task, "columns": {**COLUMNS, **TARGETS[task]}}, sort_keys=False)
        (self.root / "schema.yaml").write_text(text, encoding="utf-8")
        return schema.load()

    def write(self, path: str, text: str) -> Path:
        """Write a text file below the root."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def report(self, name: str) -> dict[str, Any]:
        """Read `reports/<name>.json`."""
        found: dict[str, Any] = json.loads((self.root / f"reports/{name}.json").read_text(encoding="utf-8"))
        return found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An empty project, which is the working directory; the package is there under its own name."""
    here = tmp_path.resolve() / "project"
    here.mkdir()
    package = here / verdict.PACKAGE.name
    package.symlink_to(verdict.PACKAGE, target_is_directory=True)
    monkeypatch.chdir(here)
    monkeypatch.setattr(verdict, "PACKAGE", package)
    made = Project(here, PARAMS)
    made.params()
    made.schema()
    return made
