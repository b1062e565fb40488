"""A report counts for the files that lie there now, and for nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import config, record
from {{ cookiecutter.project_slug }}.errors import GateClosed, InputError
from {{ cookiecutter.project_slug }}.gates import verdict

Change = Callable[[Any], object]


@pytest.fixture
def judged(project: Any, rows_of: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A project with a green post-train report; its package is a copy, which a test may edit."""
    package = project.root / "copy"
    for name in ("features.py", "model.py", "gates/run.py", "serving/app.py"):
        project.write(f"copy/{name}", (verdict.PACKAGE / name).read_text(encoding="utf-8"))
    monkeypatch.setattr(verdict, "PACKAGE", package)
    for path in verdict.JUDGED["posttrain"]:
        record.write_parquet(rows_of(20), path)
    project.write("tests/posttrain/test_last.py", "# judges\n")
    gate = {"gate": "last", "verdict": "pass", "reason": "fine"}
    inputs = verdict.inputs("posttrain", project.params())
    record.write_json(verdict.REPORTS["posttrain"], {"verdict": "pass", "gates": [gate], "inputs": inputs})
    return project


def edit_report(change: Callable[[dict[str, Any]], object]) -> Change:
    """A change of the report by hand."""

    def apply(project: Any) -> None:
        report = project.report("posttrain")
        change(report)
        project.write("reports/posttrain.json", json.dumps(report))

    return apply


def append(path: str) -> Change:
    """One more line at the end of a file."""

    def apply(project: Any) -> None:
        with (project.root / path).open("ab") as stream:
            stream.write(b"\n# one more line\n")

    return apply


def test_a_green_report_on_these_files_counts(judged: Any) -> None:
    """Parameters of stages further down do not matter to it."""
    report = verdict.require("posttrain", judged.params(promote={"min_rows": 11}))
    assert report["gates"][0]["gate"] == "last"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (edit_report(lambda report: report.update(verdict="fail")), r"is red \(verdict\)"),
        (edit_report(lambda report: report["gates"][0].update(verdict="fail")), r"is red \(last\)"),
        (edit_report(lambda report: report["gates"][0].update(verdict="skipped")), r"is red \(last\)"),
        (edit_report(lambda report: report["gates"].clear()), "does not hold the gates"),
        (edit_report(lambda report: report["gates"][0].update(gate="other")), "does not hold the gates"),
        (edit_report(lambda report: report.pop("gates")), "does not hold the gates"),
        (edit_report(lambda report: report.pop("inputs")), r"something else \(gates, golden, model, params"),
        (lambda project: project.params(gates={"posttrain": {"last": {}, "new": {}}}), "does not hold the gates"),
        (lambda project: project.params(gates={"posttrain": {"last": {"limit": 9}}}), r"\(params differ\)"),
        (lambda project: project.params(train={"folds": 4}), r"\(params differ\)"),
        (append("schema.yaml"), r"\(schema differ\)"),
        (append("data/train.parquet"), r"\(train differ\)"),
        (append("data/test.parquet"), r"\(test differ\)"),
        (append("data/predictions.parquet"), r"\(predictions differ\)"),
        (append("model/model.skops"), r"\(model differ\)"),
        (append("model/training.json"), r"\(training differ\)"),
        (append("model/golden.parquet"), r"\(golden differ\)"),
        (append("tests/posttrain/test_last.py"), r"\(gates differ\)"),
        (append("tests/posttrain/deeper.py"), r"\(gates differ\)"),
        (append("copy/gates/run.py"), r"\(gates differ\)"),
        (append("copy/features.py"), r"\(gates differ\)"),
        (append("copy/model.py"), r"\(gates differ\)"),
        (append("copy/serving/app.py"), r"\(gates differ\)"),
    ],
)
def test_a_report_on_something_else_does_not(judged: Any, change: Change, said: str) -> None:
    """Red, edited, left over, or a verdict on other data, parameters, model or gates; what differs is named."""
    change(judged)
    with pytest.raises(GateClosed, match=said) as caught:
        verdict.require("posttrain", judged.params())
    assert "dvc repro" in str(caught.value)
    assert caught.value.gates == ("verdict",)


def test_each_stage_has_its_own_gates(judged: Any) -> None:
    """A new test of the other stage changes nothing; a verdict before training counts by itself."""
    judged.write("tests/pretrain/test_first.py", "# judges, too\n")
    verdict.require("posttrain", judged.params())
    params = judged.params()
    assert (verdict.declared("pretrain", params), verdict.declared("posttrain", params)) == ({"first"}, {"last"})
    gates, inputs = [{"gate": "first", "verdict": "pass"}], verdict.inputs("pretrain", params)
    record.write_json(verdict.REPORTS["pretrain"], {"verdict": "pass", "gates": gates, "inputs": inputs})
    assert verdict.require("pretrain", params)["gates"] == gates


@pytest.mark.parametrize("path", ["reports/posttrain.json", "model/model.skops"])
def test_a_missing_file_is_said_to_be_missing(judged: Any, path: str) -> None:
    """A report cannot be held against a model that is not there."""
    Path(path).unlink()
    with pytest.raises(InputError, match=f"{path} is missing"):
        verdict.require("posttrain", judged.params())


def test_a_stage_depends_on_its_own_keys_alone(params_of: Callable[..., config.Params]) -> None:
    """The posttrain gates' thresholds are no part of what training depends on."""
    before, after = params_of(), params_of(gates={"posttrain": {"last": {"x": 1}}})
    assert verdict.stage_params(before, "train") == verdict.stage_params(after, "train")
    assert verdict.stage_params(before, "posttrain") != verdict.stage_params(after, "posttrain")
    assert verdict.stage_params(before, "validate") == {"validate": {"min_rows": 10, "min_class_rows": 2}}


def test_what_is_hashed_is_written_as_in_the_file(params_of: Callable[..., config.Params]) -> None:
    """JSON's types and the file's own keys, whatever Python calls them."""
    expected = {"column": "size", "low": 1, "high": 9, "expect": "up", "class": "long"}
    trials = {"directions": [expected], "functionality": [], "cases": 20}
    params = params_of(ingest={"start": "2024-01-01"}, posttrain=trials)
    assert verdict.stage_params(params, "ingest")["ingest"]["start"] == "2024-01-01T00:00:00"
    assert verdict.stage_params(params, "posttrain")["posttrain"]["directions"] == [expected]


def test_what_serves_is_judged_after_training_only(judged: Any) -> None:
    """A verdict on the data does not change with the server."""
    before = verdict.inputs("pretrain", judged.params())
    judged.write("copy/serving/app.py", "# another server\n")
    assert verdict.inputs("pretrain", judged.params()) == before
