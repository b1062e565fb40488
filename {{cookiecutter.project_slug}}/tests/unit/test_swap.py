"""Champions come and go, and somebody always answers."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.registry import tracking, versions
from {{ cookiecutter.project_slug }}.serving import swap

from . import small_project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a champion."""
    return small_project.make(tmp_path / "p", monkeypatch)


@pytest.fixture
def told():
    """What the champions said of what they took and refused."""
    return []


@pytest.fixture
def champions(project, told):
    """Nobody serves yet."""
    return swap.Champions(("champion",), 10, 0.05, lambda alias, served: told.append((alias, served.number)),
                          lambda alias, reason: told.append((alias, reason)))  # fmt: skip


def second(project, strength=small_project.GOOD):
    """Make another model champion; its number."""
    project.repro(strength)
    project.commit()
    assert project.promote(reset="a test")[0] == 0
    return project.aliases()["champion"]


def test_nobody_then_the_first_champion_then_the_next_and_back(project, champions, told):
    client = tracking.client()
    client.delete_registered_model_alias(tracking.NAME, "champion")
    champions.look()
    assert (champions.champion, champions.unreachable) == (None, "")
    client.set_registered_model_alias(tracking.NAME, "champion", "1")
    champions.look()
    first = champions.champion
    assert (first.number, champions.unreachable) == ("1", "")
    champions.look()
    assert champions.champion is first
    assert second(project) == "2"
    champions.look()
    assert champions.champion.number == "2"
    assert champions.champion.version.digest != first.version.digest
    with tracking.session() as client:
        versions.rollback(client)
    champions.look()
    assert champions.champion.version.digest == first.version.digest
    assert told == [("champion", "1"), ("champion", "2"), ("champion", "1")]


def test_a_version_that_is_not_what_it_claims_is_refused_once_and_the_old_one_serves(project, champions, told):
    champions.look()
    second(project)
    for path in Path(".mlflow").rglob("golden.parquet"):
        shutil.copy(path, path.with_name("kept"))
        path.write_bytes(b"other")
    champions.look()
    champions.look()
    assert champions.champion.number == "1"
    assert [alias for alias, _ in told] == ["champion", "champion"]
    assert "version 2" in told[1][1]
    assert set(champions.bad) == {"2"}
    assert champions.unreachable == ""


def test_after_a_restart_a_refused_champion_leaves_the_last_good_one_at_work(project, champions, monkeypatch):
    """And it is tried again after a while: its files may have been restored, or were lacking for a moment."""
    champions.look()
    second(project)
    hidden = [path.rename(path.with_name("kept")) for path in Path(".mlflow").rglob("golden.parquet")]
    fresh = swap.Champions(("champion",), 10, 1, lambda *_: None, lambda *_: None)
    fresh.look()
    assert (fresh.champion.number, set(fresh.bad)) == ("1", {"2"})
    for path in hidden:
        path.rename(path.with_name("golden.parquet"))
    fresh.look()
    assert fresh.champion.number == "1"
    monkeypatch.setattr(swap, "RETRY", 0.0)
    fresh.look()
    assert (fresh.champion.number, fresh.bad) == ("2", {})


def test_features_that_cannot_be_run_are_a_refused_version(project, champions, monkeypatch):
    """Its own code, and no fault of the registry."""
    champions.look()
    real = swap.loading.features_from

    def broken(source):
        source.write_text("import no_such_module\n")
        return real(source)

    folder = swap.CACHE / record.read_json(swap.CACHE / "champion.json")["folder"]
    monkeypatch.setattr(swap.loading, "features_from", broken)
    with pytest.raises(InputError, match="cannot be run here"):
        champions.take("champion", folder, "9")
    assert champions.champion.number == "1"


def test_a_registry_that_is_gone_changes_nothing_and_is_said(project, champions, monkeypatch):
    champions.look()
    serves = champions.champion
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    champions.client = None
    champions.look()
    assert champions.champion is serves
    assert champions.unreachable.startswith("MLflow store http://127.0.0.1:9 cannot be used")
    fresh = swap.Champions(("champion",), 10, 1, lambda *_: None, lambda *_: None)
    fresh.look()
    assert fresh.champion.version.digest == serves.version.digest
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    fresh.look()
    assert (fresh.unreachable, fresh.champion.number) == ("", "1")


@pytest.mark.parametrize("harm", ["pointer", "model", "none"])
def test_without_registry_a_cache_that_does_not_hold_serves_nobody(project, champions, monkeypatch, capsys, harm):
    if harm != "none":
        champions.look()
        last = swap.CACHE / record.read_json(swap.CACHE / "champion.json")["folder"]
        (swap.CACHE / "champion.json" if harm == "pointer" else last / "model.skops").write_text("{}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    fresh = swap.Champions(("champion",), 10, 1, lambda *_: None, lambda *_: None)
    fresh.look()
    assert fresh.champion is None
    assert "nothing to serve" in capsys.readouterr().err


def test_what_was_fetched_is_kept_checked_and_pruned(project, champions, monkeypatch):
    champions.look()
    (folder,) = swap.CACHE.glob("*/")
    (folder / "training.json").write_text("{}")
    champions.served.clear()
    champions.look()
    assert champions.champion.number == "1"  # fetched anew
    monkeypatch.setattr(versions, "bundle", None)
    champions.served.clear()
    champions.look()
    assert champions.champion.number == "1"  # from what is kept
    for number in range(6):
        (swap.CACHE / f"old{number}").mkdir()
    champions.served.clear()
    champions.look()
    assert len(list(swap.CACHE.glob("*/"))) == swap.KEPT
    assert folder.is_dir()


def test_a_folder_that_cannot_be_written_is_said(project, champions, told):
    swap.CACHE.write_text("in the way")
    champions.look()
    assert champions.champion is None
    assert "cannot write .serve" in champions.unreachable
    assert told == []


def test_a_challenger_is_followed_and_let_go(project, champions):
    champions.aliases = ("champion", "challenger")
    champions.look()
    assert champions.served["challenger"].number == "1"
    tracking.client().delete_registered_model_alias(tracking.NAME, "challenger")
    champions.look()
    assert set(champions.served) == {"champion"}


def test_it_looks_again_and_again_until_stopped(champions, monkeypatch):
    looked = threading.Semaphore(0)
    monkeypatch.setattr(champions, "look", looked.release)
    champions.start()
    assert all(looked.acquire(timeout=5) for _ in range(3))
    champions.stop()
    champions.thread.join(5)
    assert not champions.thread.is_alive()
    time.sleep(0.1)
