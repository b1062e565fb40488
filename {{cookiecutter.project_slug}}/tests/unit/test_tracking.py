"""The journal and its store: created whole, found wherever the folder lies, and never in the way of a training."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from {{ cookiecutter.project_slug }} import config, record
from {{ cookiecutter.project_slug }}.gates import verdict
from {{ cookiecutter.project_slug }}.registry import journal, tracking, versions
from {{ cookiecutter.project_slug }}.stages import train

from . import small_project

ROOT = Path(tracking.__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose weak model is champion, as version 1."""
    return small_project.make(tmp_path / "p", monkeypatch)


def journalled(client) -> list[str]:
    found = client.search_runs([tracking.experiment_id(client)])
    return [run.info.run_id for run in found]


def test_a_training_is_journalled_once_however_often_it_runs(project):
    client = tracking.client()
    before = journalled(client)
    train.main()
    assert journalled(client) == before
    project.repro(small_project.GOOD)
    assert len(journalled(client)) == len(before) + 1
    run = client.get_run(journalled(client)[0])
    assert run.data.params["train.arguments.C"] == "1.0"
    assert "inner_brier" in run.data.metrics


def test_an_unfinished_journal_entry_is_not_taken_for_a_training(project):
    client, params, training = tracking.client(), config.load(), record.read_json(verdict.TRAINING)
    identity = journal.training_id(params, training) + "x"
    run = client.create_run(tracking.experiment_id(client), tags={"training": identity})
    client.set_tag(journal.training_run(client, params, training), "training", "other")
    assert journal.training_run(client, params, training) != run.info.run_id


@pytest.mark.parametrize("logged", [0, 1, 9])
def test_a_run_that_a_kill_left_unfinished_is_completed(project, logged):
    """However far it came, and although a threshold that no training reads has changed since."""
    client, params, training = tracking.client(), config.load(), record.read_json(verdict.TRAINING)
    [finished] = journalled(client)
    whole = client.get_run(finished).data
    client.delete_run(finished)
    tags = {"training": journal.training_id(params, training), "digest": training["digest"]}
    left = client.create_run(tracking.experiment_id(client), tags=tags).info.run_id
    for key in sorted(whole.params, key=lambda key: key != "evaluate.replicates")[:logged]:
        client.log_param(left, key, "199" if key == "evaluate.replicates" else whole.params[key])
    assert journal.training_run(client, params, training) == left
    assert journalled(client) == [left]
    run = client.get_run(left)
    assert (run.info.status, run.data.metrics) == ("FINISHED", pytest.approx(whole.metrics, rel=1e-5))
    assert run.data.params == whole.params | ({"evaluate.replicates": "199"} if logged else {})
    assert journal.training_run(client, params, training) == left


def test_more_parameters_than_mlflow_takes_at_once_are_all_logged(project, monkeypatch):
    client, params, training = tracking.client(), config.load(), record.read_json(verdict.TRAINING)
    [finished] = journalled(client)
    whole = client.get_run(finished).data.params
    client.delete_run(finished)
    monkeypatch.setattr(journal, "BATCH", len(whole) - 1)
    assert client.get_run(journal.training_run(client, params, training)).data.params == whole


def test_a_finished_run_goes_before_an_unfinished_one(project):
    client, params, training = tracking.client(), config.load(), record.read_json(verdict.TRAINING)
    [finished] = journalled(client)
    client.create_run(tracking.experiment_id(client), tags={"training": journal.training_id(params, training)})
    assert journal.training_run(client, params, training) == finished


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "postgresql://nobody@127.0.0.1:9/none"])
def test_an_unreachable_store_costs_a_training_one_line(project, monkeypatch, capsys, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    started = time.monotonic()
    train.main()
    assert time.monotonic() - started < 10
    said = capsys.readouterr()
    assert not said.out
    assert said.err.startswith("warning: this training is not journalled: ")
    assert said.err.count("\n") == 1


def test_serving_libraries_have_no_store_of_files(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(tracking.StoreError, match="^set MLFLOW_TRACKING_URI"):
        tracking.client()


def test_a_locked_store_is_one_line_in_seconds(project, capsys):
    with contextlib.closing(sqlite3.connect(tracking.store() / "mlflow.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        with pytest.raises(tracking.StoreError, match="cannot be written: database is locked; end the process"):
            tracking.client()
        train.main()
        assert time.monotonic() - started < 10
    assert "database is locked" in capsys.readouterr().err


def test_what_the_store_raises_later_is_one_line_too(project):
    with pytest.raises(tracking.StoreError, match="cannot be used"), tracking.session() as client:
        client.get_run("none")


def test_three_first_openings_at_once_all_succeed(tmp_path):
    code = f"from {tracking.__name__} import client, experiment_id; print(experiment_id(client()))"
    names = ("MLFLOW_TRACKING_URI", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")
    kept = {k: v for k, v in os.environ.items() if k not in names}
    environment = kept | {"PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    ends = [process.communicate(timeout=120) for process in started]
    assert {out for out, _ in ends} == {b"1\n"} or {out for out, _ in ends} == {b"1" + os.linesep.encode()}
    assert [err for _, err in ends] == [b"", b"", b""]


def test_a_store_whose_creation_was_killed_is_created_anew(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    tracking.store().mkdir()
    (tracking.store() / "partial.db").write_bytes(b"half")
    (tracking.store() / "partial.db-journal").write_bytes(b"half")
    client = tracking.client()
    assert tracking.experiment_id(client) == tracking.experiment_id(client)
    assert not (tracking.store() / "partial.db").exists()


@pytest.mark.parametrize("name", ["with space", "100%25 of it", "why?"])
def test_the_champion_still_loads_after_the_folder_moved(project, tmp_path, monkeypatch, name):
    moved = tmp_path / name
    shutil.move(project.root, moved)
    small_project.stand_in(moved, monkeypatch)
    client = tracking.client()
    champion = versions.by_alias(client, "champion")
    with versions.bundle(client, champion) as folder:
        assert (folder / "model.skops").is_file()
    run = client.create_run(tracking.experiment_id(client))
    assert run.info.artifact_uri.startswith((moved / ".mlflow").as_uri())


def test_the_champion_loads_from_a_folder_that_moved_onto_a_disk_that_cannot_be_written(project, tmp_path, monkeypatch):
    client = tracking.client()
    before = client.get_experiment_by_name(tracking.NAME).artifact_location
    moved = tmp_path / "moved"
    shutil.move(project.root, moved)
    small_project.stand_in(moved, monkeypatch)
    access = os.access  # a read-only disk answers root too that it cannot be written
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    client = tracking.client()
    with versions.bundle(client, versions.by_alias(client, "champion")) as folder:
        assert (folder / "model.skops").is_file()
    assert client.get_experiment_by_name(tracking.NAME).artifact_location == before


@pytest.mark.parametrize("status", [200, 401])
def test_a_server_that_says_anything_is_there(monkeypatch, status):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{server.server_port}")
        assert tracking.client()


def test_a_server_that_says_nothing_is_given_up_in_seconds_and_its_password_is_not_shown(monkeypatch):
    monkeypatch.setattr(tracking, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{address}")
        with pytest.raises(tracking.StoreError, match=f"store http://{address} cannot be used: timed out; start it"):
            tracking.client()


def test_a_certificate_is_left_to_mlflow(monkeypatch):
    def opened(*_: object, **__: object) -> None:
        raise urllib.error.URLError(ssl.SSLCertVerificationError("self-signed"))

    monkeypatch.setattr(urllib.request, "urlopen", opened)
    tracking.knock("https://127.0.0.1:9")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "(raised by autoflush)\n(sqlite3.OperationalError) database or disk is full\n[SQL: ...]",
            "database or disk is full",
        ),
        ("Max retries exceeded (Caused by Refused('no'))", "Refused('no'))"),
        ("", "ValueError"),
    ],
)
def test_the_line_says_what_the_store_said(monkeypatch, said, told):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert f"cannot be used: {told}; check the folder" in str(tracking.unreachable(ValueError(said)))


@pytest.mark.parametrize("inside", [".dvc/tmp/exps/standalone/tmpx", ".dvc/tmp/exps/tmpy"])
def test_an_experiment_in_a_copy_uses_the_store_of_the_project(tmp_path, monkeypatch, inside):
    (tmp_path / inside).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / inside)
    assert tracking.store() == tmp_path.resolve() / ".mlflow"


def test_names_that_mlflow_does_not_admit_are_mended():
    assert journal.flat({"a": {"b#c": 1}, "d": [1]}) == {"a.b_c": "1", "d": "[1]"}
