"""Lineage: complete or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from {{ cookiecutter.project_slug }} import config
from {{ cookiecutter.project_slug }}.errors import GateClosed, InputError
from {{ cookiecutter.project_slug }}.registry import lineage, tracking

from . import small_project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose weak model is champion, as version 1."""
    return small_project.make(tmp_path / "p", monkeypatch)


def test_every_fact_is_there_and_repeats(project):
    facts = lineage.workspace(config.load())
    assert facts == lineage.workspace(config.load())
    assert all(facts.values())
    assert facts["git_commit"] == lineage.git("rev-parse", "HEAD")
    Path(tracking.NAME, "model.py").write_text("")
    assert lineage.workspace(config.load())["code_sha256"] != facts["code_sha256"]


def test_the_lock_describes_what_lies_here(project):
    lineage.require_lock()


@pytest.mark.parametrize("name", ["data/raw.parquet", "model/model.skops", "reports/posttrain.json", "schema.yaml"])
def test_an_edited_or_missing_file_is_named(project, name):
    path = Path(name)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(GateClosed, match=f"{name} is not the one in dvc.lock: run `dvc repro`"):
        lineage.require_lock()
    path.unlink()
    with pytest.raises(GateClosed, match=f"{name} is not the one"):
        lineage.require_lock()


def test_a_parameter_changed_since_is_named(project):
    project.set("train.folds", 3)
    with pytest.raises(GateClosed, match=r"train in params.yaml is not the one in dvc.lock"):
        lineage.require_lock()
    assert lineage.at({"a": 1}, "a.b") is None


def test_a_lock_that_writes_a_number_without_a_dot_is_the_same(project):
    path = Path("dvc.lock")
    path.write_text(path.read_text().replace("folds: 2", "folds: 20e-1"))
    assert "20e-1" in path.read_text()
    lineage.require_lock()


@pytest.mark.parametrize("text", [None, "", "[]", "stages: 3", "stages: {a: {deps: [{}]}}", "{"])
def test_a_lock_that_is_none_is_one_line(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("dvc.lock").write_text(text)
    with pytest.raises(InputError, match=r"dvc.lock is missing or not readable: run `dvc repro`"):
        lineage.require_lock()


def test_params_are_hashed_by_value(project):
    before = lineage.workspace(config.load())["params_sha256"]
    tree = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(dict(reversed(tree.items())), sort_keys=False))
    assert lineage.workspace(config.load())["params_sha256"] == before


def test_git_that_fails_or_is_missing_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="git no-such-thing failed: "):
        lineage.git("no-such-thing")
    with pytest.raises(InputError, match="not in a git repository: run `git init` first"):
        lineage.require_repository()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="git cannot be run"):
        lineage.git("status")
