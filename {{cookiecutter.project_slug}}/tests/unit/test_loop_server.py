"""Asking the clone's server: requests within its limits, its answers in order, and one line when it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import schema
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.loop import scratch, server
from {{ cookiecutter.project_slug }}.registry import tracking
from {{ cookiecutter.project_slug }}.serving import client

from . import asking, small_walk


@contextmanager
def answering(*answers: tuple[int, Any]) -> Iterator[tuple[server.Server, list[Any]]]:
    """A server that gives these answers one after the other, the last for ever, and what it was asked."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], text=True)
    try:
        with asking.answering(*answers) as (port, asked):
            yield server.Server(port, process), asked
    finally:
        process.kill()
        process.wait()


def test_rows_become_requests_of_at_most_so_many_rows_and_bytes() -> None:
    rows = small_walk.ROWS[["id", "when", "x", "z"]][:120].assign(z=[None] + [1.0] * 119)
    settings = small_walk.params().serve
    sent = [json.loads(body) for body in client.bodies(rows, settings)]
    assert [len(part) for part in sent] == [50, 50, 20]
    assert sent[0][0] == {"id": 0, "when": "2020-01-01T00:00:00", "x": float(rows["x"].iloc[0]), "z": None}
    assert [row["id"] for part in sent for row in part] == rows["id"].tolist()
    narrow = settings.model_copy(update={"max_mb": 0.001})
    bodies = list(client.bodies(rows, narrow))
    assert max(map(len, bodies)) <= 1000
    assert sum(len(json.loads(body)) for body in bodies) == 120


def test_scores_come_in_the_order_of_the_rows_once_all_are_logged() -> None:
    rows = small_walk.ROWS[:60]
    first, second = ({"predictions": [{"score": i / 100} for i in part]} for part in (range(50), range(50, 60)))
    waits, done = ({"log": {"waiting": n}} for n in (3, 0))
    with answering((200, first), (200, second), (200, waits), (200, done)) as (asks, asked):
        said = asks.score(rows, small_walk.contract(), small_walk.params().serve)
    np.testing.assert_array_equal(said, np.arange(60) / 100)
    assert set(asked[0][0]) == {"id", "when", "x", "z"}
    assert asked[2:] == ["/readyz", "/readyz"]


def test_scores_of_classes_come_by_class() -> None:
    columns = {"when": {"type": "datetime"}, "y": {"type": "int", "role": "target", "values": [2, 0, 1]}}
    contract = schema.Schema.model_validate({"task": "multiclass", "columns": columns})
    said = {"predictions": [{"scores": {"0": 0.1, "1": 0.2, "2": 0.7}}], "log": {"waiting": 0}}
    rows = pd.DataFrame({"when": [pd.Timestamp("2020-01-01")]})
    with answering((200, said)) as (asks, _):
        np.testing.assert_array_equal(asks.score(rows, contract, small_walk.params().serve), [[0.7, 0.1, 0.2]])


def test_a_refusal_is_one_line_that_says_what_the_server_said() -> None:
    with (
        answering((422, {"detail": "visib above 10"})) as (asks, _),
        pytest.raises(InputError, match="422.*visib above 10"),
    ):
        asks.score(small_walk.ROWS[:3], small_walk.contract(), small_walk.params().serve)


def test_a_new_champion_is_waited_for_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering((503, {}), (200, {"digest": "old"}), (200, {"digest": "new"})) as (asks, asked):
        asks.follow("new")
        assert asked == ["/version"] * 3
        monkeypatch.setattr(server, "FOLLOW", 0.2)
        with pytest.raises(InputError, match="did not serve other.*new"):
            asks.follow("other")
        monkeypatch.setattr(server, "FOLLOW", 60)
        asks.process.kill()
        asks.process.wait()
        with pytest.raises(InputError, match="it said nothing"):
            asks.follow("other")


def test_a_server_is_started_on_a_free_port_and_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that listens late: until then nobody answers."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{tracking.NAME}.py").write_text(
        "import sys, time\nfrom http.server import *\ntime.sleep(0.3)\n"
        "class H(BaseHTTPRequestHandler):\n"
        '    def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(b\'{"digest": "d"}\')\n'
        "assert sys.argv[1:3] == ['serve', '--port']\nHTTPServer(('127.0.0.1', int(sys.argv[3])), H).serve_forever()"
    )
    with server.served(scratch.Clone(tmp_path), "d") as asks:
        assert asks.ask("GET", "/version") == (200, {"digest": "d"})
    assert asks.process.returncode is not None
    with pytest.raises(OSError):
        asks.ask("GET", "/version")
