"""Predictions made again, and what keeps them from being made."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import config, model, record, schema
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import reproduction, verdict
from {{ cookiecutter.project_slug }}.registry import artefact

Rows = Callable[..., pd.DataFrame]


def test_the_difference_is_the_largest_one() -> None:
    """Other shapes are infinitely different, and what is no number is not equal."""
    assert reproduction.difference(np.array([1.0, 2.0]), np.array([1.5, 1.0])) == 1.0
    assert reproduction.difference(np.zeros((2, 3)), np.zeros((2, 3))) == 0.0
    assert reproduction.difference(np.zeros((2, 1)), np.zeros(2)) == np.inf
    assert np.isnan(reproduction.difference(np.array([0.0, np.nan]), np.zeros(2)))


def test_a_second_training_sees_nothing_but_its_rows(
    project: Any, rows_of: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an empty folder, which it leaves and which is gone afterwards; the predictions are the model's."""
    params, contract = project.params(), project.schema()
    project.write("data/train.parquet", "all rows")
    train, test = rows_of(200), rows_of(50, seed=1)
    seen: list[Path] = []
    build = model.build

    def spy(*arguments: Any) -> Any:
        seen.append(Path.cwd())
        assert not list(Path.cwd().iterdir())
        assert arguments == (params.train, contract, params.seed)
        return build(*arguments)

    monkeypatch.setattr(model, "build", spy)
    found = reproduction.refitted(train, test, contract, params)
    assert Path.cwd() == project.root
    assert seen != [project.root]
    assert not seen[0].exists()
    monkeypatch.setattr(model, "build", build)
    once = model.fit(model.build(params.train, contract, params.seed), train, contract)
    assert found.tolist() == model.predict(once, test, contract).tolist()


def test_a_training_that_reads_tables_by_itself_is_red(
    project: Any, rows_of: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason names what it raised; the working folder is restored."""
    params, contract = project.params(), project.schema()
    record.write_parquet(rows_of(300), Path("data/valid.parquet"))

    def peek(*_: Any) -> Any:
        return pd.read_parquet("data/valid.parquet")

    monkeypatch.setattr(model, "fit", peek)
    assert len(peek()) == 300
    with pytest.raises(
        InputError, match=r"^in an empty folder the training fails \(FileNotFoundError: .*valid"
    ) as caught:
        reproduction.refitted(rows_of(200), rows_of(50), contract, params)
    assert "\n" not in str(caught.value)
    assert Path.cwd() == project.root


@pytest.fixture
def trained(project: Any, rows_of: Rows, monkeypatch: pytest.MonkeyPatch) -> tuple[schema.Schema, config.Params, Any]:
    """A project with a model file; contract, parameters and the fitted pipeline."""
    for name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    contract, params = project.schema(), project.params()
    fitted = model.fit(model.build(params.train, contract, params.seed), rows_of(200), contract)
    artefact.dump(fitted, verdict.MODEL)
    return contract, params, fitted


def test_a_clean_process_predicts_from_the_files(trained: Any, rows_of: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with which no Python would start is not handed on; a damaged file is told by the child's last line."""
    contract, _, fitted = trained
    monkeypatch.setenv("PYTHONHASHSEED", "no number")
    test = rows_of(50, seed=1)
    assert reproduction.in_a_clean_process(test, contract).tolist() == model.predict(fitted, test, contract).tolist()
    verdict.MODEL.write_bytes(b"no model")
    with pytest.raises(
        InputError, match=r"^in a clean process the model does not predict \(.*is not a model file"
    ) as e:
        reproduction.in_a_clean_process(test, contract)
    assert "\n" not in str(e.value)


def test_a_clean_process_is_given_the_inputs_and_no_more(
    trained: Any, rows_of: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No target, no key; the model file and the schema beside them; run where the package lies."""
    contract, _, _ = trained
    monkeypatch.setenv("PYTHONPATH", "x")
    monkeypatch.setenv("OTHER", "kept")
    seen: dict[str, Any] = {}

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        folder, table, out = map(Path, command[3:])
        seen.update(options, module=command[1:3], files=sorted(path.name for path in folder.iterdir()))
        seen.update(columns=list(pd.read_parquet(table).columns), same=(folder / "model.skops").read_bytes())
        assert (folder / "schema.yaml").read_bytes() == schema.PATH.read_bytes()
        record.write_parquet(pd.DataFrame({"predicted": [0.25] * 50}), out)
        return subprocess.CompletedProcess(command, seen.get("code", 0), "", seen.get("said", ""))

    monkeypatch.setattr(subprocess, "run", run)
    assert reproduction.in_a_clean_process(rows_of(50), contract).tolist() == [0.25] * 50
    assert seen["module"] == ["-m", f"{verdict.PACKAGE.name}.serving.predict"]
    assert seen["cwd"] == verdict.PACKAGE.parent
    assert (seen["columns"], seen["same"]) == (contract.inputs, verdict.MODEL.read_bytes())
    assert seen["files"] == ["in.parquet", "model.skops", "schema.yaml"]
    assert "PYTHONPATH" not in seen["env"]
    assert seen["env"]["OTHER"] == "kept"
    for said, shown in (("one\nlast\n\n", r"\(last\)"), ("", r"\(no reason given\)")):
        seen.update(code=1, said=said)
        with pytest.raises(InputError, match=shown):
            reproduction.in_a_clean_process(rows_of(50), contract)
