"""The endpoints, asked with good and bad requests."""

from __future__ import annotations

import asyncio
import json
import logging
import time

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from {{ cookiecutter.project_slug }} import config, record
from {{ cookiecutter.project_slug }}.gates import verdict
from {{ cookiecutter.project_slug }}.registry import tracking, versions
from {{ cookiecutter.project_slug }}.serving import app as http
from {{ cookiecutter.project_slug }}.serving import monitored, serve
from {{ cookiecutter.project_slug }}.serving.client import SMOKE
from {{ cookiecutter.project_slug }}.serving.swap import NOBODY
from {{ cookiecutter.project_slug }}.serving.version import requested

from . import small_project
from .asking import ask, asked


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project with a champion, and its bundle."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("home")
        small_project.make(root / "p", patch)
        versions.export(tracking.client(), "champion", root / "bundle")
    return root


@pytest.fixture
def server(home, monkeypatch):
    """The server of a bundle, nothing of it started."""
    small_project.stand_in(home / "p", monkeypatch)
    monkeypatch.delenv(http.TOKEN, raising=False)
    return serve.build(config.load().serve, home / "bundle", 60)[0]


@pytest.fixture
def app(server):
    """Its app."""
    return http.application(server, serve.schema.load(), "a title")


@pytest.fixture
def rows(server):
    """Test rows as JSON, and what the pipeline said of them."""
    table = record.read_parquet(verdict.TEST)[:40]
    asked_for = [server.champions.champion.reader.example(row) for row in requested(table[["when", "x", "z"]])]
    return asked_for, record.read_parquet(verdict.PREDICTIONS)["predicted"][:40].tolist()


def body(value):
    """JSON."""
    return json.dumps(value).encode()


def sample(app, name, **labels):
    """A figure of /metrics."""
    page = ask(app, "/metrics").body.decode()
    return next((s.value for family in text_string_to_metric_families(page) for s in family.samples
                 if s.name == name and labels.items() <= s.labels.items()), None)  # fmt: skip


def test_one_and_many_are_scored_as_by_the_pipeline(app, server, rows):
    asked_for, expected = rows
    version = server.champions.champion.version
    many = ask(app, "/predict", body(asked_for)).json
    assert many["digest"] == version.digest
    np.testing.assert_allclose([p["score"] for p in many["predictions"]], expected, rtol=0, atol=1e-12)
    assert [p["decision"] for p in many["predictions"]] == [int(e >= version.threshold) for e in expected]
    for row, score in zip(asked_for[:5], expected[:5], strict=True):
        (one,) = ask(app, "/predict", body(row | {"id": 77})).json["predictions"]
        assert one["id"] == "77"
        assert one["score"] == pytest.approx(score, abs=1e-12)


def test_many_classes_have_a_score_each_and_values_no_decision(app, server, rows, contract_of, monkeypatch):
    serves = server.champions.champion
    many = http.predictions(replaced(serves, contract_of("multiclass")), ["a"], np.array([[0.2, 0.7, 0.1]]))
    assert many == [{"id": "a", "scores": {"short": 0.2, "long": 0.7, "middle": 0.1}, "decision": "long"}]
    assert http.predictions(replaced(serves, contract_of("regression")), ["a"], np.array([3.5])) == [
        {"id": "a", "score": 3.5}
    ]


def replaced(serves, contract):
    """The champion as if it had another contract."""
    import dataclasses

    return serves._replace(version=dataclasses.replace(serves.version, contract=contract))


def test_refusals(app, rows):
    (row, *_), _ = rows
    refused = ask(app, "/predict", body([row, row | {"x": "far", "y": 1}]))
    assert refused.status == 422
    assert refused.json["detail"] == [
        {"row": 1, "column": "x", "rule": "not of type float"},
        {"row": 1, "column": "y", "rule": "not a column that this model reads"},
    ]
    assert ask(app, "/predict", b"{").status == 422
    assert ask(app, "/predict", body([row] * 51)).json["detail"][0]["rule"] == "more than 50 rows"
    assert ask(app, "/predict", body(row), content_type="text/plain").status == 415
    assert ask(app, "/predict", body(row), content_type="application/json; charset=utf-8").status == 200
    assert ask(app, "/predict").status == 405
    assert ask(app, "/nothing").status == 404


def test_too_much_is_not_kept(app):
    declared = ask(app, "/predict", b"{", content_length="100001")
    assert (declared.status, declared.headers["connection"]) == (413, "close")
    assert declared.json["detail"] == "more than 100000 bytes: send fewer rows at a time"
    assert ask(app, "/predict", *[b" " * 50_000] * 3).status == 413
    began = time.monotonic()
    endless = ask(app, "/predict", *[b" " * 50_000] * 3, 10.0)
    assert (endless.status, endless.headers["connection"]) == (413, "close")
    assert time.monotonic() - began < 5


def test_a_slow_client_is_told_and_one_that_left_is_let_go(app, rows):
    slow = ask(app, "/predict", body(rows[0][0])[:9], 1.5)
    assert (slow.status, slow.headers["connection"]) == (408, "close")
    assert ask(app, "/predict", b"{", None).status == http.GONE


def test_a_score_that_is_no_number_is_refused(app, server, rows, monkeypatch):
    wild = replaced(server.champions.champion, server.champions.champion.version.contract)
    version = wild.version
    object.__setattr__(version, "arrays", lambda table: np.array([0.5, np.inf][: len(table)]))
    server.champions.served["champion"] = wild
    refused = ask(app, "/predict", body(rows[0][:2]))
    assert refused.status == 422
    assert refused.json["detail"] == [{"row": 1, "column": None, "rule": "gives no finite score"}]


def test_more_at_once_than_allowed_are_told_to_come_again(app, server, rows):
    async def crowd():
        slow = [asked(app, "POST", "/predict", [b"{", 0.3, b"}"], {"content-type": "application/json"})] * 1
        slow += [asked(app, "POST", "/predict", [b"{", 0.3, b"}"], {"content-type": "application/json"})
                 for _ in range(server.settings.max_requests)]  # fmt: skip
        return await asyncio.gather(*slow)

    found = asyncio.run(crowd())
    assert sorted(answer.status for answer in found) == [422] * server.settings.max_requests + [503]
    busy = next(answer for answer in found if answer.status == 503)
    assert (busy.headers["retry-after"], busy.json["detail"]) == ("1", "too many requests at once: come again")
    assert ask(app, "/predict", body(rows[0][0])).status == 200
    assert sample(app, "serve_in_flight") == 0
    assert sample(app, "serve_in_flight_limit") == server.settings.max_requests


def test_a_token_guards_what_says_something(home, server, rows, monkeypatch):
    monkeypatch.setattr(server, "token", b"sesame")
    app = http.application(server, serve.schema.load(), "a title")
    row = body(rows[0][0])
    for path, parts in (("/predict", [row]), ("/version", []), ("/metrics", [])):
        for wrong in (None, "Bearer sesam", "sesame", "Basic sesame"):
            refused = ask(app, path, *parts, **({"authorization": wrong} if wrong else {}))
            assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert ask(app, path, *parts, authorization="Bearer sesame").status == 200
        assert ask(app, path, *parts, authorization="bearer sesame").status == 200  # RFC 9110, 11.1
    assert [ask(app, path).status for path in ("/healthz", "/readyz", "/docs")] == [200, 200, 200]


def test_health_version_and_what_is_wrong(app, server, monkeypatch):
    assert ask(app, "/healthz").json == {"status": "ok"}
    ready = ask(app, "/readyz")
    assert (ready.status, ready.json["ready"], ready.json["registry"]) == (200, True, "ok")
    about = ask(app, "/version").json
    assert about["lineage"]["git_commit"]
    assert (about["version"], about["challenger"]) == ("bundle", None)
    server.champions.unreachable = "gone"
    assert ask(app, "/readyz").json["registry"] == "gone"
    monkeypatch.setattr(http.golden, "equal", lambda *_: False)
    assert ask(app, "/readyz").status == 503


def test_without_a_champion_it_says_what_to_type(home, monkeypatch):
    small_project.stand_in(home / "p", monkeypatch)
    server, contract = serve.build(config.load().serve, None, 60)
    app = http.application(server, contract, "a title")
    assert ask(app, "/healthz").status == 200
    for path, parts in (("/predict", [b"{}"]), ("/version", [])):
        found = ask(app, path, *parts)
        assert (found.status, found.json["detail"]) == (503, NOBODY)
    assert (ask(app, "/readyz").status, ask(app, "/readyz").json["reason"]) == (503, NOBODY)
    assert set(ask(app, "/openapi.json").json["components"]["schemas"]["Row"]["required"]) == {"when", "x", "z"}


def test_the_last_monitor_report_is_at_metrics(app, monkeypatch, tmp_path):
    assert sample(app, "model_max_age_seconds") == 60 * 86400
    assert sample(app, "monitor_report_unreadable") is None
    monkeypatch.chdir(tmp_path)
    monitored.REPORT.parent.mkdir()
    monitored.REPORT.write_text("{}", encoding="utf-8")
    assert sample(app, "monitor_report_unreadable") == 1


def test_what_is_answered_is_counted(app, server, rows):
    asked_for, _ = rows
    assert sample(app, "http_requests_total", path="/predict", status="200") == 0  # traffic that never comes is missed
    ask(app, "/predict", body(asked_for[:3]))
    ask(app, "/predict", b"{")
    ask(app, "/favicon.ico")
    digest = server.champions.champion.version.digest
    assert sample(app, "predictions_total", digest=digest) == 3
    assert sample(app, "http_requests_total", path="/predict", status="200") == 1
    assert sample(app, "http_requests_total", path="/predict", status="422") == 1
    assert sample(app, "http_requests_total", path="other", status="404") == 1
    assert sample(app, "http_request_duration_seconds_count", path="/predict") == 2
    assert sample(app, "prediction_score_count") == 3
    assert sample(app, "model_info", digest=digest) == 1
    assert sample(app, "model_swaps_total") == 1
    assert 0 < sample(app, "model_age_seconds") < 600
    assert sample(app, "process_resident_memory_bytes") > 0


def test_what_is_answered_is_logged_for_the_monitor(app, server, rows, monkeypatch):
    kept = []
    monkeypatch.setattr(server.log, "add", lambda *values: kept.append(values))
    (one,) = ask(app, "/predict", body(rows[0][0])).json["predictions"]
    ((digest, contract, names, given, scores),) = kept
    assert (digest, names) == (server.champions.champion.version.digest, [one["id"]])
    assert contract is server.champions.champion.version.contract
    assert given[0]["x"] == rows[0][0]["x"]
    assert scores.tolist() == [one["score"]]


def test_made_up_rows_of_a_smoke_test_alone_are_no_traffic(app, server, rows, monkeypatch):
    """Neither a real row under its header, nor a golden one without it, is left out."""
    kept = []
    monkeypatch.setattr(server.log, "add", lambda *values: kept.append(values))
    serves = server.champions.champion
    smoke, golden = {SMOKE: serves.version.digest}, body(serves.reader.example(serves.version.golden[0][0]))
    for sent, headers, logged in ((golden, smoke, 0), (golden, {SMOKE: "another"}, 1), (body(rows[0][0]), smoke, 2)):
        assert ask(app, "/predict", sent, **headers).status == 200
        assert len(kept) == logged


def test_the_access_log_names_the_request_and_no_value(app, rows, caplog):
    caplog.set_level(logging.INFO, "serve")
    answer = ask(app, "/predict", body(rows[0][0]), x_request_id="mine")
    assert answer.headers["x-request-id"] == "mine"
    (line,) = caplog.records
    assert (line.levelname, line.getMessage()) == ("INFO", "POST /predict 200")
    assert line.__dict__["http.request.id"] == "mine"
    assert line.__dict__["event.duration"] > 0
    assert str(rows[0][0]["x"]) not in str(line.__dict__)
    assert len(ask(app, "/healthz").headers["x-request-id"]) == 32


def test_a_fault_of_ours_is_a_500_that_is_counted(app, server, rows, monkeypatch):
    def fails(*_):
        raise RuntimeError("a fault")

    monkeypatch.setattr(server.log, "add", fails)
    with pytest.raises(RuntimeError, match="a fault"):
        ask(app, "/predict", body(rows[0][0]))
    assert sample(app, "http_requests_total", path="/predict", status="500") == 1
    assert server.at_work == 0


def test_the_docs_show_the_columns_and_need_no_network(app, server):
    page = ask(app, "/docs").body.decode()
    assert "http://" not in page
    assert "https://" not in page
    document = ask(app, "/openapi.json").json
    post = document["paths"]["/predict"]["post"]
    assert {"200", "401", "408", "413", "415", "422", "503"} <= set(post["responses"])
    content = post["requestBody"]["content"]["application/json"]
    answer = ask(app, "/predict", body(content["examples"]["many rows"]["value"]))
    assert answer.status == 200
    assert "| x | float |  |" in post["description"]
    assert "security" not in str(document["paths"])
    server.token = b"sesame"
    operations = [
        (path, one) for path, both in ask(app, "/openapi.json").json["paths"].items() for one in both.values()
    ]
    assert {path for path, one in operations if one.get("security") == [{"token": []}]} == set(http.GUARDED)
    assert {path for path, one in operations if "401" in one["responses"]} == set(http.GUARDED)
    promised = post["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["predictions"]["items"]
    assert set(promised["required"]) == set(answer.json["predictions"][0])


@pytest.mark.parametrize(
    ("task", "names"), [("multiclass", {"id", "scores", "decision"}), ("regression", {"id", "score"})]
)
def test_the_documented_answer_follows_the_task(task, names, contract_of):
    found = http.openapi.answer(contract_of(task))
    assert set(found["properties"]["predictions"]["items"]["required"]) == names
