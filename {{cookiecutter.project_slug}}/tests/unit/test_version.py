"""A bundle loaded for work."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import features, record
from {{ cookiecutter.project_slug }}.errors import GateClosed, InputError
from {{ cookiecutter.project_slug }}.registry import golden, tracking, versions
from {{ cookiecutter.project_slug }}.serving import version

from . import small_project


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """An exported bundle."""
    small_project.make(tmp_path / "p", monkeypatch)
    versions.export(tracking.client(), "champion", tmp_path / "bundle")
    return tmp_path / "bundle"


def source(bundle):
    """The bundle's own features."""
    return next(bundle.glob("code/*/features.py"))


def test_a_version_answers_as_the_pipeline_did(bundle):
    loaded = version.load(bundle)
    predictions = record.read_parquet(golden.verdict.PREDICTIONS)["predicted"].to_numpy()
    table = record.read_parquet(golden.verdict.TEST)
    assert golden.equal(loaded.score(table), predictions)
    assert golden.equal(loaded.score(version.requested(table[loaded.contract.inputs])), predictions)
    assert loaded.path == "arrays"
    assert loaded.digest == json.loads((bundle / "lineage.json").read_text())["digest"]


def test_each_version_keeps_its_own_features(bundle, tmp_path, monkeypatch):
    mine = version.load(bundle)
    project = small_project.Project(tmp_path / "p")
    project.repro()  # the same model by other features: another digest
    other = tmp_path / "other"
    shutil.copytree(bundle, other)
    text = source(other).read_text().replace('"float64")', '"float64") * 1.5')
    source(other).write_text(text)
    with pytest.raises(GateClosed, match="digest"):
        version.load(other)
    facts = json.loads((other / "lineage.json").read_text())
    digest = version.artefact.digest(other / "model.skops", source(other))
    (other / "lineage.json").write_text(json.dumps({**facts, "digest": digest}))
    with pytest.raises(InputError, match="does not answer its golden rows"):
        version.load(other)
    monkeypatch.setattr(version.golden, "equal", lambda *_: True)
    theirs = version.load(other)
    rows = mine.golden[0][:5]
    assert not np.allclose(mine.score(rows), theirs.score(rows))
    assert np.array_equal(version.load(bundle).score(rows), mine.score(rows))
    assert version.sys.modules[features.__name__] is features


def test_a_tampered_or_torn_bundle_is_refused(bundle):
    with pytest.raises(GateClosed, match="digest"):
        version.load(bundle, "0" * 64)
    rows = pd.read_parquet(bundle / "golden.parquet")
    rows.assign(predicted=rows["predicted"] + 1e-9).to_parquet(bundle / "golden.parquet")
    with pytest.raises(InputError, match="golden rows"):
        version.load(bundle)
    (bundle / "golden.parquet").unlink()
    with pytest.raises(InputError, match="golden.parquet is missing"):
        version.load(bundle)


@pytest.mark.parametrize("broken", ["wrong", "raises", "none"])
def test_an_array_path_that_is_not_equal_is_not_taken(bundle, monkeypatch, broken):
    def wrong(table):
        if broken == "raises":
            raise AttributeError("no DataFrame")
        return np.zeros(len(table))

    monkeypatch.setattr(version.rows, "compiled", lambda *_: None if broken == "none" else wrong)
    loaded = version.load(bundle)
    assert loaded.path == "frame"
    table, answers = loaded.golden
    assert golden.equal(loaded.score(table), answers)


def test_a_path_that_is_wrong_for_single_rows_alone_is_not_taken(bundle, monkeypatch):
    right = version.load(bundle).arrays
    monkeypatch.setattr(version.rows, "compiled", lambda *_: lambda t: right(t) + (0.1 if len(t) == 1 else 0))
    assert version.load(bundle).path == "frame"


def test_decisions(bundle, contract_of):
    loaded = version.load(bundle)
    made = dataclasses.replace(loaded, threshold=0.0)
    assert made.decide(np.array([0.0, 0.4])) == [1, 1]
    assert dataclasses.replace(loaded, threshold=0.4).decide(np.array([0.39, 0.4])) == [0, 1]
    many = dataclasses.replace(loaded, contract=contract_of("multiclass"))
    assert many.decide(np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]])) == ["long", "short"]
    assert dataclasses.replace(loaded, contract=contract_of("regression")).decide(np.array([3.0])) is None


def test_categories_are_those_of_the_encoder_else_the_declared(project, rows_of, contract_of):
    contract, table = contract_of(shade={"type": "category"}), rows_of(200).assign(shade="red")
    train = project.params().train
    fitted = version.model.fit(version.model.build(train, contract, 1), table, contract)
    assert version.known_categories(fitted, contract) == {"place": frozenset("abc"), "shade": frozenset({"red"})}
    dummy = version.model.baseline("dummy", train, contract, 1)
    version.model.fit(dummy, table, contract)
    assert version.known_categories(dummy, contract) == {"place": frozenset("abc")}
