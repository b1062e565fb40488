"""A real server and a real batch: the pipeline's numbers over HTTP, swapped, rolled back, drained and exported."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from pathlib import Path
from typing import Any

from loading import Serving, Slow, known, logged, scores, served
from running import SLUG, command, copy_of, free_port, one_line, run, said, set_param, start, works

#: Asks a server for all test rows, in requests of 500, and compares with the pipeline's predictions and `batch`'s.
EVERY = f"""
import json, sys, urllib.request
import numpy as np, pandas as pd
from pathlib import Path
from {SLUG} import schema
from {SLUG}.serving.version import requested
port, batch = sys.argv[1:]
contract = schema.load()
rows = pd.read_parquet("data/test.parquet")
expected = pd.read_parquet("data/predictions.parquet")["predicted"].to_numpy()
asked, found = requested(rows[[*contract.key, *contract.inputs]]), []
for first in range(0, len(asked), 500):
    body = json.dumps(asked[first:first + 500], default=lambda time: time.isoformat()).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{{port}}/predict", body, {{"content-type": "application/json"}})
    found += json.load(urllib.request.urlopen(request))["predictions"]
np.testing.assert_array_equal([one["score"] for one in found], expected)
assert [one["id"] for one in found] == rows[contract.key[0]].astype(str).tolist()
parts = pd.concat(map(pd.read_parquet, sorted(Path(batch).glob("part-*.parquet"))))
np.testing.assert_array_equal(parts["predicted"], expected)
assert parts["decision"].tolist() == [one["decision"] for one in found]
print(len(found))
"""


def post(server: Serving, body: Any, **headers: str) -> tuple[int, Any]:
    """Return status and JSON of a request for predictions."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    sent = {"content-type": "application/json", **headers}
    connection.request("POST", "/predict", json.dumps(body), sent)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_http_and_batch_give_the_pipelines_numbers_to_the_last_bit(copy: Path) -> None:
    """Every test row, from the registry over HTTP and in a batch; then the same from an exported bundle without it."""
    works(command(copy, "batch", "data/test.parquet", "scored"))
    with served(copy) as server:
        assert int(works(run(copy, "python", "-c", EVERY, str(server.port), "scored"))) > 5000
        assert json.loads(server.get("/version")[1])["path"] == "arrays"
        server.until(lambda: server.metric("prediction_log_waiting_rows") == 0, 20)
    assert len(logged(copy)) == len({row[0] for row in logged(copy)}) > 5000
    works(command(copy, "export", "champion", "bundle"))
    (copy / ".mlflow").rename(copy / "gone")
    works(command(copy, "batch", "data/test.parquet", "again", "--bundle", "bundle"))
    server = Serving(copy)
    server.process = start(copy, "python", "-m", SLUG, "serve", "--port", str(server.port), "--bundle", "bundle")
    try:
        server.until(lambda: server.get("/readyz")[0] == 200, 60)
        assert int(works(run(copy, "python", "-c", EVERY, str(server.port), "again"))) > 5000
    finally:
        server.end(signal.SIGKILL)


def test_without_a_champion_it_starts_and_says_what_to_type_then_follows(copy: Path) -> None:
    """Nobody, the first champion, another one while a request is on its way, and back: each within seconds."""
    (copy / ".mlflow").rename(copy / "kept")
    set_param(copy, "serve.max_seconds", 300)
    server = Serving(copy)
    rows = known(copy)
    try:
        server.process = start(copy, "python", "-m", SLUG, "serve", "--port", str(server.port))
        server.until(lambda: server.get("/healthz")[0] == 200, 60)
        status, text = server.get("/readyz")
        assert (status, "run `dvc repro` and `promote`" in text) == (503, True)
        assert post(server, rows[0]) == (503, {"detail": json.loads(text)["reason"]})
        works(command(copy, "promote"))
        server.until(lambda: server.get("/readyz")[0] == 200, 20)
        first, expected = server.digest(), scores(copy)
        set_param(copy, "train.arguments.max_iter", 90)
        works(run(copy, "dvc", "repro"))
        works(run(copy, "git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qam", "another"))
        slow = Slow(server, rows)  # its first half arrives before the swap, its second after it
        works(command(copy, "promote", "--reset", "a test"))
        server.until(lambda: server.digest() != first, 20)
        late = slow.end()
        assert (late.status, late.body["digest"], late.scores) == (200, first, expected)
        status, found = post(server, rows)
        assert (status, [one["score"] for one in found["predictions"]]) == (200, scores(copy))
        assert found["digest"] != first
        works(command(copy, "rollback"))
        assert server.until(lambda: server.digest() == first, 20) < 10
        assert [one["score"] for one in post(server, rows)[1]["predictions"]] == expected
        assert server.metric("model_swaps_total") == 3
    finally:
        server.end(signal.SIGKILL)


def test_sigterm_answers_what_is_on_its_way_and_writes_the_log(copy: Path) -> None:
    """The answer arrives, the next connection is refused, and no row that was answered is missing."""
    rows = known(copy)
    with served(copy) as server:
        assert post(server, rows)[0] == 200
        slow = Slow(server, rows)
        process = server.process
        assert process is not None
        process.terminate()
        server.until(lambda: server.get("/healthz")[0] == 0, 10)
        late = slow.end()
        assert (late.status, len(late.scores)) == (200, len(rows))
        assert process.wait(20) in (0, -signal.SIGTERM), said(process)[-2000:]
        server.process = None
    assert len(logged(copy)) == 2 * len(rows)


def test_bad_requests_are_refused_by_name_and_a_token_is_asked_for(started: Path, tmp_path: Path) -> None:
    """A real socket: 401, 413 without reading it all, 415, 422 with row, column and rule; logs hold no value."""
    project = copy_of(started, tmp_path)
    rows = known(project)
    with served(project, SERVE_TOKEN="sesame") as server:
        bearer = {"authorization": "Bearer sesame"}
        assert post(server, rows[0])[0] == 401
        assert post(server, rows[0], **bearer)[0] == 200
        assert post(server, rows[0], **bearer | {"content-type": "text/csv"})[0] == 415
        status, found = post(server, [rows[0], rows[1] | {"visib": 99.0, "gate": 3}], **bearer)
        assert (status, found["detail"]) == (
            422,
            [{"row": 1, "column": "visib", "rule": "above 10"},
             {"row": 1, "column": "gate", "rule": "not a column that this model reads"}],
        )  # fmt: skip
        assert post(server, rows * 26, **bearer)[1]["detail"][0]["rule"] == "more than 1000 rows"
        assert post(server, "x" * 3_000_000, **bearer)[0] == 413
        assert server.metric("http_requests_total") >= 6
        assert server.process is not None
        lines = [json.loads(line) for line in said(server.process).splitlines()]
        asked = [line for line in lines if line["message"].startswith("POST /predict")]
        assert {line["http"]["response"]["status_code"] for line in asked} == {200, 401, 413, 415, 422}
        assert all({"@timestamp", "log.level", "ecs.version", "event", "labels"} <= set(line) for line in asked)
        assert "99.0" not in said(server.process)
        assert str(rows[0]["arrives"]) not in " ".join(line["message"] for line in lines)


def test_a_challenger_scores_in_the_shadow_and_never_answers(copy: Path) -> None:
    """With `serve.shadow` the registered challenger is compared on what the champion answered."""
    set_param(copy, "train.arguments.max_iter", 80)
    set_param(copy, "serve.shadow", True)
    works(run(copy, "dvc", "repro"))
    works(run(copy, "git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qam", "another"))
    works(command(copy, "register"))
    rows = known(copy)
    with served(copy) as server:
        server.until(lambda: json.loads(server.get("/version")[1])["challenger"] is not None, 20)
        champion = server.digest()
        status, found = post(server, rows)
        assert (status, found["digest"]) == (200, champion)
        server.until(lambda: server.metric("shadow_difference_count") == len(rows), 10)
        assert server.metric("shadow_decisions_total") == len(rows)
        assert server.metric("shadow_difference_sum") > 0
        assert server.metric("shadow_dropped_total") == 0


def test_what_cannot_be_served_is_one_line(started: Path, tmp_path: Path) -> None:
    """A port in use, a bundle that is none, a secret that is missing: said before anything listens."""
    project = copy_of(started, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert "cannot listen" in one_line(command(project, "serve", "--port", port))
    assert "is no bundle" in one_line(command(project, "serve", "--bundle", "nowhere"))
    assert "lineage.json is missing" in one_line(command(project, "serve", "--bundle", "docs"))
    set_param(project, "serve.log.private", {"dest": "hash"})
    assert "LOG_KEY" in one_line(command(project, "serve", "--port", str(free_port())))
