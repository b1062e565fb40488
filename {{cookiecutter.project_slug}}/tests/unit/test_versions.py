"""Versions: one per model, whole or not at all, and aliases that move together."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from {{ cookiecutter.project_slug }} import config, record
from {{ cookiecutter.project_slug }}.errors import GateClosed, InputError
from {{ cookiecutter.project_slug }}.gates import verdict
from {{ cookiecutter.project_slug }}.registry import artefact, tracking, versions

from . import small_project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose weak model is champion, as version 1."""
    return small_project.make(tmp_path / "p", monkeypatch)


def test_registering_the_same_model_again_changes_nothing(project):
    client = tracking.client()
    numbers = [versions.register(client, config.load()).version for _ in range(2)]
    assert numbers == [1, 1]
    Path("tests/posttrain/new.py").write_text("")  # would not do for a new version
    Path("tests/posttrain/new.py").unlink()
    assert len(client.search_model_versions(f"name = '{tracking.NAME}'")) == 1


def test_a_bundle_holds_what_it_takes_to_predict_and_to_explain(project):
    client = tracking.client()
    version = versions.by_alias(client, "champion")
    with versions.bundle(client, version) as folder:
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert (
            artefact.digest(folder / "model.skops", folder / "code" / tracking.NAME / "features.py")
            == (version.tags["digest"])
        )
        assert len(record.read_parquet(folder / versions.KEYS)) == 1200
    expected = {"MLmodel", "model.skops", "schema.yaml", "params.yaml", "dvc.lock", "lineage.json", "requirements.txt"}
    assert expected <= names
    assert "reports/posttrain.json" in names
    assert not any("__pycache__" in name for name in names)


def test_mlflow_itself_can_load_the_champion(project):
    import mlflow

    mlflow.set_tracking_uri(tracking.uri(tracking.store() / "mlflow.db"))
    loaded = mlflow.sklearn.load_model(f"models:/{tracking.NAME}@champion")
    test = record.read_parquet(Path("data/test.parquet"))
    expected = record.read_parquet(verdict.PREDICTIONS)["predicted"]
    assert loaded.predict_proba(test[["when", "x", "z"]])[:, 1] == pytest.approx(expected.to_numpy())


def test_a_red_verdict_registers_nothing(project):
    record.write_json(verdict.REPORTS["pretrain"], {"verdict": "fail", "gates": []})
    with pytest.raises(GateClosed, match="red"):
        versions.register(tracking.client(), config.load())


def test_a_missing_lock_file_is_named(project):
    project.repro(small_project.GOOD)
    Path("requirements-serve.lock").unlink()
    with pytest.raises(InputError, match=r"cannot bundle requirements-serve.lock: No such file"):
        versions.register(tracking.client(), config.load())
    assert len(tracking.client().search_model_versions(f"name = '{tracking.NAME}'")) == 1


@pytest.mark.parametrize(
    ("copy", "full"),
    [
        ("copy", OSError(errno.ENOSPC, "No space left on device")),
        ("copytree", shutil.Error([("a", "b", "[Errno 28] No space left on device")])),
    ],
)
def test_a_disk_that_is_full_while_bundling_decides_nothing(project, monkeypatch, copy, full):
    def fails(*_, **__):
        raise full

    project.repro(small_project.GOOD)
    monkeypatch.setattr(shutil, copy, fails)
    with pytest.raises(tracking.StoreError, match=r"bundle the model: .*No space left on device; check the disk"):
        versions.register(tracking.client(), config.load())
    assert len(tracking.client().search_model_versions(f"name = '{tracking.NAME}'")) == 1


def test_lost_model_files_are_named(project):
    client = tracking.client()
    version = versions.by_alias(client, "champion")
    next(Path(".mlflow/artifacts").glob("*/artifacts/model/model.skops")).unlink()
    with pytest.raises(InputError, match="has no model file in the store"), versions.bundle(client, version):
        pass


def test_rollback_swaps_and_says_when_it_cannot(project):
    client = tracking.client()
    with pytest.raises(InputError, match="no previous champion"):
        versions.rollback(client)
    client.set_registered_model_alias(tracking.NAME, "previous", "1")
    with pytest.raises(InputError, match="no previous champion"):
        versions.rollback(client)
    project.repro(small_project.GOOD)
    assert project.promote()[0] == 0
    assert versions.rollback(client) == ("1", "2")
    assert versions.rollback(client) == ("2", "1")


def test_lineage_of_an_alias_that_is_not_there_says_what_to_run(project):
    with pytest.raises(InputError, match="no version has the alias previous: run `promote`"):
        versions.lineage_of(tracking.client(), "previous")


def test_nothing_registered_has_no_aliases(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert versions.aliases(tracking.client()) == {}


def test_two_commands_at_once_wait_and_then_say_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(versions, "WAIT", 0.1)
    tracking.store().mkdir()
    with (
        FileLock(str(tracking.store() / "registry.lock")),
        pytest.raises(tracking.StoreError, match="another register"),
        versions.exclusive(),
    ):
        pass
    with pytest.raises(FileNotFoundError), versions.exclusive():
        raise FileNotFoundError("of the body, not of the lock")


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(".mlflow").write_text("a file")
    with pytest.raises(tracking.StoreError, match="check the folder"), versions.exclusive():
        pass
