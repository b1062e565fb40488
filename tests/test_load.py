"""A server under load: memory, promotions, kills, a full disk, a dead registry, bad versions and odd requests."""

from __future__ import annotations

import json
import random
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from disks import small_disk
from loading import Answer, Clients, Slow, known, logged, scores, served, wrk
from running import command, copy_of, digest, run, set_param, works
from stores import Registry

pytestmark = pytest.mark.slow

#: Seconds of load, and of finding out what a server can take.
LASTS, TRIED = 300, 5
#: Of what it can take, what it is given.
SHARE = 0.7
#: ms between two requests of a connection.
PAUSE = 20
#: Growth of memory (MB) over the second half that is not a leak: 40 bytes a request would be more.
GROWS = 8.0
#: Seconds within which everyone sees a change of champion, and a registry's death or return: a look takes seconds.
SEEN, NOTICED = 10, 60
#: Seconds beyond `serve.log.seconds` that writing a part may take on a busy machine.
SPARE = 1.5
KILLS = 5


def hold(answers: list[Answer], expected: dict[str, list[float]]) -> None:
    """Hold that each request was answered, wholly by one version, and exactly as that version answers."""
    assert len(answers) > 100
    for answer in answers:
        assert answer.status == 200, answer
        own = expected[answer.body["digest"]]
        assert answer.scores == [own[place] for place in answer.rows], answer
        assert [one["id"] for one in answer.body["predictions"]] == answer.ids


def test_minutes_of_load_leave_the_memory_as_it_was(copy: Path, tmp_path: Path) -> None:
    """At 70 % of what it can take: no error, and what the second half adds to the memory is no leak."""
    body = tmp_path / "row.json"
    body.write_text(json.dumps(known(copy)[0]), encoding="utf-8")
    left = 3600 - time.time() % 3600
    time.sleep(left if left < LASTS + 60 else 0)  # when an hour is over its log is merged: tens of MB come, and go
    with served(copy) as server:
        capacity = wrk(server, body, TRIED, 8)["rate"]
        load: dict[str, float] = {}
        connections = round(capacity * SHARE * PAUSE / 1000)  # if answers took no time
        given = wrk(server, body, TRIED, connections, PAUSE)["rate"]
        connections = round(connections * capacity * SHARE / given)
        client = threading.Thread(target=lambda: load.update(wrk(server, body, LASTS, connections, PAUSE)))
        client.start()
        found = []
        while client.is_alive():
            found.append(server.memory())
            time.sleep(0.5)
        print(f"capacity {capacity:.0f}/s, given {load}, memory {found[0]:.0f} to {found[-1]:.0f} MB")
        assert load["errors"] == 0
        assert 0.3 * capacity < load["rate"] < 0.95 * capacity
        assert server.metric("predictions_total") >= load["requests"]
        assert server.metric("prediction_log_dropped_rows_total") == 0
        half = found[len(found) // 2 :]
        slope = statistics.linear_regression(range(len(half)), half).slope
        print(f"the second half grew by {slope * len(half):.2f} MB")
        assert slope * len(half) < GROWS


def test_promotions_and_a_rollback_lose_no_request_and_mix_no_versions(copy: Path) -> None:
    """Three promotions and a rollback under load: each answer is wholly one version's, also one that began before."""
    set_param(copy, "serve.max_seconds", 300.0)
    rows, expected, order = known(copy), {digest(copy): scores(copy)}, [digest(copy)]
    with served(copy) as server, Clients(server, rows) as clients:
        for iterations in (80, 90, 110):
            slow = Slow(server, rows)
            set_param(copy, "train.arguments.max_iter", iterations)
            works(run(copy, "dvc", "repro"))
            order.append(digest(copy))
            expected[order[-1]] = scores(copy)
            works(command(copy, "promote", "--reset", "a test"))
            server.until(lambda: server.digest() == order[-1], SEEN)
            last = slow.end()
            assert (last.body["digest"], last.scores) == (order[-2], expected[order[-2]])
        works(command(copy, "rollback"))
        waited = server.until(lambda: server.digest() == order[-2], SEEN)
        print(f"the rollback was seen after {waited:.1f} s")
        rolled_back = time.monotonic()
        time.sleep(2)
    hold(clients.answers, expected)
    assert len(expected) == 4
    in_turn = [answer.body["digest"] for answer in clients.answers]
    assert set(in_turn) == set(expected)
    late = {answer.body["digest"] for answer in clients.answers if answer.sent > rolled_back}
    assert late == {order[-2]}


def test_a_killed_server_has_logged_what_it_answered_but_for_the_last_moment(copy: Path) -> None:
    """Killed at random moments: each part is readable, and each answer is in it once but for the last second's."""
    rows, expected, answers, lost = known(copy), {digest(copy): scores(copy)}, list[Answer](), 0
    chance = random.Random(0)
    for _ in range(KILLS):
        with served(copy) as server, Clients(server, rows) as clients:
            time.sleep(chance.uniform(3, 6))
            killed = time.monotonic()
            server.end(signal.SIGKILL)
        given = [answer for answer in clients.answers if answer.status]
        hold(given, expected)
        answers += given
        lost += len(clients.answers) - len(given)
        found = logged(copy)
        assert len({one for one, *_ in found}) == len(found)
        due = {name for answer in given if answer.done < killed - 1 - SPARE for name in answer.ids}
        assert len(due) > 100
        assert due <= {one for one, *_ in found}
    assert lost  # each kill came amid requests
    said = {name: score for answer in answers for name, score in zip(answer.ids, answer.scores, strict=True)}
    for name, by, score in logged(copy):
        assert by == digest(copy)
        assert said.get(name, score) == score


def test_a_full_disk_delays_the_log_and_no_answer(copy: Path, tmp_path: Path) -> None:
    """Answers go on, the failure shows, and once there is room every row is written, once."""
    with small_disk(tmp_path / "disk") as disk:
        assert disk.mounted, "a small disk takes root, or sudo without a password"
        set_param(copy, "serve.log.folder", str(disk.folder / "predictions"))
        rows, expected = known(copy), {digest(copy): scores(copy)}
        with served(copy) as server, Clients(server, rows) as clients:
            server.until(lambda: server.metric("predictions_total") > 100, 30)
            with disk.left(0):
                server.until(lambda: server.metric("prediction_log_failures_total") >= 3, 60)
                assert server.metric("prediction_log_waiting_rows") > 0
                assert json.loads(server.get("/readyz")[1])["log"]["failures"] >= 3
                before = len(clients.answers)
                time.sleep(1)
                assert len(clients.answers) > before
            failures = server.metric("prediction_log_failures_total")
            clients.stop()
            server.until(lambda: server.metric("prediction_log_waiting_rows") == 0, 60)
            assert server.metric("prediction_log_dropped_rows_total") == 0
            assert server.metric("prediction_log_failures_total") <= failures + 1
        hold(clients.answers, expected)
        assert sorted(one for one, *_ in logged(copy)) == sorted(n for answer in clients.answers for n in answer.ids)
        assert not list(disk.folder.rglob("*.partial"))


def test_a_dead_registry_changes_no_answer(copy: Path, server: Registry) -> None:
    """The last champion goes on, the server says why it knows nothing newer, and even a restart finds the champion."""
    works(command(copy, "promote", MLFLOW_TRACKING_URI=server.url))
    rows, expected = known(copy), {digest(copy): scores(copy)}
    with served(copy, MLFLOW_TRACKING_URI=server.url) as ours, Clients(ours, rows) as clients:
        assert ours.metric("registry_unreachable") == 0
        server.end()
        ours.until(lambda: ours.metric("registry_unreachable") == 1, NOTICED)
        status, ready = ours.get("/readyz")
        assert (status, json.loads(ready)["ready"]) == (200, True)
        assert "cannot be used" in json.loads(ready)["registry"]
        server.start()
        ours.until(lambda: ours.metric("registry_unreachable") == 0, NOTICED)
        assert json.loads(ours.get("/readyz")[1])["registry"] == "ok"
    hold(clients.answers, expected)
    server.end()
    with served(copy, MLFLOW_TRACKING_URI=server.url) as ours, Clients(ours, rows) as clients:
        assert ours.metric("registry_unreachable") == 1
        time.sleep(1)
    hold(clients.answers, expected)


#: Damages version 2 in the store and makes it champion behind the gates' back.
DAMAGE = """
import sys
from pathlib import Path
import pandas as pd
from flight_delays.registry import bundles, tracking
what, name = sys.argv[1], tracking.NAME
with tracking.session() as client:
    version = client.get_model_version(name, "2")
    folder = next(Path(".mlflow/artifacts").rglob(version.source.rpartition("/")[2]))
    if what == "model":
        with (folder / "model.skops").open("ab") as file:
            file.write(b" ")
    if what == "golden":
        answers = pd.read_parquet(folder / "golden.parquet")
        last = answers.columns[-1]
        answers[last] += 1e-9
        answers.to_parquet(folder / "golden.parquet", index=False)
        client.set_model_version_tag(name, "2", "bundle_sha256", bundles.content(folder))
    client.set_registered_model_alias(name, "champion", "2")
"""


@pytest.mark.parametrize(("what", "why"), [("model", "not what was registered"), ("golden", "golden rows")])
def test_a_version_that_is_not_what_it_claims_is_refused(
    changed: tuple[Path, str], started: Path, tmp_path: Path, what: str, why: str
) -> None:
    """A file changed in the store, or answers that the model does not give: counted, and the old one serves."""
    project = copy_of(changed[0], tmp_path)
    expected = {digest(started): scores(started)}
    works(command(project, "register"))
    with served(project) as server, Clients(server, known(project)) as clients:
        assert server.metric("model_refused_total") == 0
        works(run(project, "python", "-c", DAMAGE, what))
        server.until(lambda: server.metric("model_refused_total") == 1, NOTICED)
        time.sleep(5)
        assert server.metric("model_refused_total") == 1
        status, ready = server.get("/readyz")
        assert (status, json.loads(ready)["digest"]) == (200, digest(started))
        assert why in json.loads(ready)["refused"]["2"]
    hold(clients.answers, expected)


@pytest.mark.parametrize("token", ["", "not-a-secret"])
def test_no_request_makes_the_server_fail(started: Path, tmp_path: Path, token: str) -> None:
    """What schemathesis makes of the server's own OpenAPI document: no 500, and answers as the document has them.

    It holds one thing more against us: no pattern of a JSON Schema keeps it from days like 0000-00-00.
    """
    project = copy_of(started, tmp_path)
    with served(project, **({"SERVE_TOKEN": token} if token else {})) as server:
        tool = Path(sys.executable).with_name("schemathesis")
        arguments = ["run", f"http://127.0.0.1:{server.port}/openapi.json", "--max-examples", "100", "--no-color",
                     "--exclude-checks", "positive_data_acceptance", "--generation-database", "none",
                     "--seed", "1", "--request-timeout", "30"]  # fmt: skip
        arguments += ["-H", f"Authorization: Bearer {token}"] if token else []
        done = subprocess.run([tool, *arguments], cwd=tmp_path, check=False, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stdout[-5000:]
        counted = server.get("/metrics")[1]
        assert 'http_requests_total{path="/predict",status="200"}' in counted
        assert 'http_requests_total{path="/predict",status="422"}' in counted
        assert 'status="500"' not in counted
