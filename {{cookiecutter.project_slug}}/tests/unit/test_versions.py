"""Versions: one per model, whole or not at all, and aliases that move together."""

from __future__ import annotations

import errno
import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from {{ cookiecutter.project_slug }} import config, record
from {{ cookiecutter.project_slug }}.errors import GateClosed, InputError
from {{ cookiecutter.project_slug }}.gates import verdict
from {{ cookiecutter.project_slug }}.registry import artefact, bundles, tracking, versions

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
        assert len(record.read_parquet(folder / bundles.KEYS)) == 1200
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


def test_what_nobody_hashed_is_not_run(project):
    """Python takes compiled code in the place of its source, and a bundle's hash leaves it out."""
    (source,) = Path(".mlflow").rglob("code/*/serving/predict.py")
    (source.parent / "__pycache__").mkdir()
    (source.parent / "__pycache__" / "predict.cpython-311.pyc").write_bytes(b"planted")
    client = tracking.client()
    with versions.bundle(client, versions.named(client, "champion")) as folder:
        assert list(folder.rglob("predict.py"))
        assert list(folder.rglob("*.pyc")) == []


def test_a_model_that_changes_while_it_is_registered_makes_no_version(project, monkeypatch):
    """Else its files would stand for another digest, for ever."""
    project.repro(small_project.GOOD)
    project.commit()
    real = bundles.write

    def other(folder, facts, keys):
        real(folder, facts, keys)
        (folder / "model.skops").write_bytes(b"of another training")

    monkeypatch.setattr(bundles, "write", other)
    with pytest.raises(GateClosed, match="was changed while it was registered"):
        versions.register(tracking.client(), config.load())
    assert project.aliases() == {"challenger": "1", "champion": "1"}


def test_lost_model_files_are_named(project):
    client = tracking.client()
    version = versions.by_alias(client, "champion")
    next(Path(".mlflow/artifacts").glob("*/artifacts/model_*/model.skops")).unlink()
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


class Killed(BaseException):
    """What no handler catches."""


class Dying:
    """A client whose process is killed right before the n-th change, from 0, that it asks the store for."""

    def __init__(self, client: Any, n: int) -> None:
        self.client, self.left = client, n

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("set_", "delete_", "create_", "log_")):
            self.left -= 1
            if self.left < 0:
                raise Killed
        return getattr(self.client, name)


@pytest.fixture
def three(project):
    """A client of a store with three versions: the second is champion, the first the one before."""
    client = tracking.client()
    for number in ("2", "3"):
        client.create_model_version(tracking.NAME, source="nowhere", tags={"digest": number})
    versions.crown(client, "2", "1")
    assert project.aliases() == {"challenger": "1", "champion": "2", "previous": "1"}
    return client


def test_what_a_killed_registration_sent_is_no_part_of_the_next(project):
    """A module that was there then and is deleted since would make the bundle another one."""
    client = tracking.client()
    more = Path(tracking.NAME, "more.py")
    more.write_text("")
    project.commit()
    project.repro(small_project.GOOD)
    with pytest.raises(Killed):
        versions.register(Dying(client, 2), config.load())
    more.unlink()
    project.commit()
    project.lock()
    version = versions.register(client, config.load())
    with versions.bundle(client, version) as folder:
        assert not (folder / "code" / more).exists()


def test_a_kill_at_any_step_of_a_promotion_loses_no_champion(project, three):
    """Old or new, never its own predecessor; the same again ends as if nothing had happened."""
    for n in itertools.count():
        try:
            versions.crown(Dying(three, n), "3", "2")
        except Killed:
            now = project.aliases()
            assert (now["champion"], now["previous"]) in {("2", "1"), ("3", "1"), ("3", "2")}
            if versions.settle(three)["champion"] == "2":
                versions.crown(three, "3", "2")
        assert project.aliases() == {"challenger": "1", "champion": "3", "previous": "2"}
        assert not {versions.REPLACES, versions.ROLLED_BACK} & set(three.get_model_version(tracking.NAME, "3").tags)
        if n == 5:  # tag, champion, previous, and two tags less: this one was not killed
            break
        for alias, number in (("champion", "2"), ("previous", "1")):
            three.set_registered_model_alias(tracking.NAME, alias, number)


def test_a_kill_at_any_step_of_a_rollback_leaves_the_loser_marked_or_champion(project, three):
    """And the winner, which had once been taken back itself, without a mark."""
    three.set_model_version_tag(tracking.NAME, "1", versions.ROLLED_BACK, "true")
    for n in itertools.count():
        try:
            versions.rollback(Dying(three, n))
        except Killed:
            assert versions.rollback(three) == ("1", "2")  # the same command again completes it
        assert project.aliases() == {"challenger": "1", "champion": "1", "previous": "2"}
        marks = [versions.ROLLED_BACK in three.get_model_version(tracking.NAME, str(v)).tags for v in (1, 2)]
        assert marks == [False, True]
        if n == 6:
            break
        assert versions.rollback(three) == ("2", "1")


@pytest.mark.parametrize(
    ("compared", "says"), [("1", "version 2 by now, no longer version 1"), (None, "no longer none")]
)
def test_a_champion_that_another_clone_moved_is_noticed(project, three, compared, says):
    before = project.aliases()
    with pytest.raises(InputError, match=f"the champion is .*{says}: run the command again"):
        versions.crown(three, "3", compared)
    assert project.aliases() == before
    assert versions.settle(three) == before


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


def test_an_alias_that_another_clone_gives_in_the_same_moment_is_given_again(project, monkeypatch):
    from mlflow.exceptions import MlflowException

    client, given = tracking.client(), []
    clash = "(sqlite3.IntegrityError) UNIQUE constraint failed: registered_model_aliases.workspace"

    def clashing(name, alias, number, raised=(clash, None)):
        given.append((alias, number))
        if raised[len(given) - 1]:
            raise MlflowException(raised[len(given) - 1])

    monkeypatch.setattr(client, "set_registered_model_alias", clashing)
    versions.point(client, "champion", "1")
    assert given == [("champion", "1")] * 2
    for raised in ((clash, clash), ("no such table",)):
        given.clear()
        monkeypatch.setattr(
            client, "set_registered_model_alias", lambda *to, raised=raised: clashing(*to, raised=raised)
        )
        with pytest.raises(MlflowException, match=raised[-1].partition(" ")[0][1:5]):
            versions.point(client, "champion", "1")
        assert len(given) == len(raised)
