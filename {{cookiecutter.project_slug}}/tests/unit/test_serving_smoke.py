"""The smoke test of a deployment: green for the bundle's own server, red for anything else."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from {{ cookiecutter.project_slug }} import config, record, schema
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.registry import golden, tracking, versions
from {{ cookiecutter.project_slug }}.serving import client, smoke

from . import asking, small_project


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Nobody waits a minute for a server that is not there."""
    monkeypatch.setattr(smoke, "START", 2)
    monkeypatch.setattr(smoke, "PERIOD", 0.05)


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """An exported bundle."""
    small_project.make(tmp_path / "p", monkeypatch)
    versions.export(tracking.client(), "champion", tmp_path / "bundle")
    return tmp_path / "bundle"


def answers(bundle):
    """Digest, and the golden answers as the server gives them."""
    contract = schema.load(bundle / "schema.yaml")
    _, scores = golden.read(bundle / golden.PATH.name, contract)
    return json.loads((bundle / "lineage.json").read_text())["digest"], [{"score": score} for score in scores]


def test_the_bundles_own_server_answers_as_its_pipeline_did(bundle, monkeypatch, capsys):
    monkeypatch.setattr(smoke, "START", 60)
    monkeypatch.setenv("SERVE_TOKEN", "of this test")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", tracking.NAME, "serve", "--port", str(port), "--bundle", str(bundle)]
    process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.DEVNULL)
    try:
        assert smoke.main(f"http://127.0.0.1:{port}", bundle) == 0
        assert "64 golden rows" in capsys.readouterr().out
        contract = schema.load(bundle / "schema.yaml")
        table, _ = golden.read(bundle / golden.PATH.name, contract)
        asked = table.iloc[:3]  # of few and coarse columns somebody may ask the very same
        found = client.Client(f"http://127.0.0.1:{port}").predict(asked, contract, config.load().serve)
        assert len(found) == 3
        monkeypatch.delenv("SERVE_TOKEN")
        monkeypatch.setattr(smoke, "START", 0.5)
        with pytest.raises(InputError, match="it says 401"):
            smoke.main(f"http://127.0.0.1:{port}", bundle)
    finally:
        process.terminate()
        process.wait()
    logged = [record.read_parquet(path) for path in Path("predictions").rglob("*.parquet")]
    assert [len(part) for part in logged] == [3]  # what was asked, and not the smoke test's rows


@pytest.mark.parametrize("broken", [0, 1])
def test_an_answer_that_is_not_the_golden_one_is_red(bundle, broken):
    """Asked for many rows at once, or one by one."""
    digest, right = answers(bundle)
    wrong = [*right[:-1], {"score": right[-1]["score"] + 1e-6}]
    many = [right[:50], right[50:]] if broken else [wrong[:50], wrong[50:]]
    said = [(200, {"predictions": part}) for part in many] + [(200, {"predictions": [one]}) for one in wrong]
    with (
        asking.answering((200, {}), (200, {"digest": digest}), *said) as (port, asked),
        pytest.raises(InputError, match=("many rows", "one row")[broken] + " are not the golden ones"),
    ):
        smoke.main(f"http://127.0.0.1:{port}", bundle)
    assert asked[:2] == ["/readyz", "/version"]
    assert len(asked) == 2 + 2 + 64 * broken


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([(503, {"ready": False})], "503.*ready"),
        ([(200, {}), (200, {"digest": "another"})], "it serves another"),
        ([(200, {}), (200, [])], "it serves None"),
        ([(200, {}), (404, b"<html>")], "404: <html>"),
    ],
)
def test_a_server_that_does_not_serve_the_bundle_is_red(bundle, said, told):
    with asking.answering(*said) as (port, _), pytest.raises(InputError, match=f"after 2 s: .*{told}"):
        smoke.main(f"http://127.0.0.1:{port}", bundle)


def test_no_server_and_no_bundle_are_one_line(bundle):
    with pytest.raises(InputError, match="it cannot be reached"):
        smoke.main("http://127.0.0.1:9", bundle)
    with pytest.raises(InputError, match="is no bundle: write one"):
        smoke.main("http://127.0.0.1:9", bundle / "nothing")


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", "http://host:port", ""])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(InputError, match="give one as http://HOST:PORT"):
        client.Client(url)


def test_an_address_may_have_a_path_and_be_encrypted():
    found = client.Client("https://host:8443/models/delays/")
    assert (found.kind, found.host, found.port) == (http.client.HTTPSConnection, "host", 8443)
    assert found.path == "/models/delays"


def test_a_server_that_goes_away_is_one_line(bundle, monkeypatch):
    monkeypatch.setattr(smoke, "look", lambda *_: "")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(InputError, match="did not answer a request of many rows"):
        smoke.main(f"http://127.0.0.1:{port}", bundle)


def test_an_answer_that_is_no_json_comes_as_text():
    with asking.answering((200, b"no json")) as (port, _):
        assert client.Client(f"http://127.0.0.1:{port}").ask("GET", "/") == (200, "no json")
