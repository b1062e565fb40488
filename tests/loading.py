"""A project's server at work and under load: started and killed, asked all the time, and its prediction log read."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from baking import ROOT
from running import SAID, SLUG, free_port, run, said, start, works

#: How many test rows are asked about.
KNOWN = 40
#: Ids that no row has, and no two requests share.
NUMBERS = itertools.count(10**9)
#: Test rows as `/predict` takes them, with their ids.
ROWS = f"""
import json, pandas as pd
from {SLUG} import schema
from {SLUG}.serving.version import requested
contract = schema.load()
rows = pd.read_parquet("data/test.parquet")[[*contract.key, *contract.inputs]]
print(json.dumps(requested(rows.iloc[:: len(rows) // {KNOWN}][:{KNOWN}]), default=lambda time: time.isoformat()))
"""
#: What the workspace's model says of them by the pipeline's own code.
SCORES = f"""
import json, pandas as pd
from pathlib import Path
from {SLUG} import model, schema
from {SLUG}.registry import artefact
rows = pd.read_parquet("data/test.parquet")
fitted = artefact.load(Path("model/model.skops"))
print(json.dumps(model.predict(fitted, rows.iloc[:: len(rows) // {KNOWN}][:{KNOWN}], schema.load()).tolist()))
"""
#: Every row of the prediction log: id, digest, score.
LOGGED = f"""
import datetime as dt, json
from {SLUG} import config
from {SLUG}.serving import parts
found = []
for piece in parts.read(config.load().serve.log.folder, dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1)):
    found += piece[["prediction.id", "prediction.digest", "predicted"]].values.tolist()
print(json.dumps(found))
"""


class Answer(NamedTuple):
    """A request and what came of it: which rows, when sent and answered (s), the status (0: none) and the body."""

    rows: list[int]
    ids: list[str]
    sent: float
    done: float
    status: int
    body: Any

    @property
    def scores(self) -> list[float]:
        """The scores, in the rows' order."""
        return [one["score"] for one in self.body["predictions"]]


@dataclass
class Serving:
    """The command `serve` of a project, on a port of its own."""

    project: Path
    variables: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and return when it is ready; fail with what it said when it does not come up."""
        self.process = start(self.project, "python", "-m", SLUG, "serve", "--port", str(self.port), **self.variables)
        self.until(lambda: self.get("/readyz")[0] == 200, 120)

    def until(self, holds: Callable[[], bool], seconds: float) -> float:
        """Wait until something holds, and return how long that took (s)."""
        assert self.process is not None
        began = time.monotonic()
        while not holds():
            fine = self.process.poll() is None and time.monotonic() < began + seconds
            assert fine, f"ended, or not within {seconds} s: {said(self.process)[-3000:]}"
            time.sleep(0.05)
        return time.monotonic() - began

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection, not yet made."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of a page; 0 where nothing listens."""
        connection, token = self.connection(), self.variables.get("SERVE_TOKEN")
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError as error:
            return 0, repr(error)
        finally:
            connection.close()

    def metric(self, name: str) -> float:
        """Return the sum of a metric's samples; fail when there are none."""
        found = re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        assert found, f"no metric {name}"
        return sum(map(float, found))

    def digest(self) -> str:
        """Return who answers."""
        status, text = self.get("/version")
        assert status == 200, f"{status} {text}: {self.process and said(self.process)[-3000:]}"
        return str(json.loads(text)["digest"])

    def memory(self) -> float:
        """Return its resident memory in MB."""
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal, and delete what it said, which may be much."""
        process, self.process = self.process, None
        if process:
            os.killpg(process.pid, number)
            process.wait(timeout=60)
            SAID.pop(process.pid).unlink()


@contextmanager
def served(project: Path, **variables: str) -> Iterator[Serving]:
    """A project's server for as long as the context."""
    server = Serving(project, variables)
    try:
        server.start()
        yield server
    finally:
        server.end(signal.SIGKILL)


def known(project: Path) -> list[dict[str, Any]]:
    """Return KNOWN test rows."""
    found = list(json.loads(works(run(project, "python", "-c", ROWS))))
    assert len(found) == KNOWN
    return found


def scores(project: Path) -> list[float]:
    """Return what the workspace's model says of them."""
    return list(json.loads(works(run(project, "python", "-c", SCORES))))


def logged(project: Path) -> list[tuple[str, str, float]]:
    """Return the prediction log; it fails where a part cannot be read."""
    return [tuple(row) for row in json.loads(works(run(project, "python", "-c", LOGGED)))]


class Clients:
    """Threads that ask until the context's end, or `stop`: one row or 20, each under its own id; `answers` has all."""

    def __init__(self, server: Serving, rows: list[dict[str, Any]], threads: int = 2) -> None:
        """Know the rows."""
        self.server, self.rows, self.answers, self.ended = server, rows, list[Answer](), threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(first,)) for first in range(threads)]

    def __enter__(self) -> Clients:
        """Begin."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.stop()

    def stop(self) -> None:
        """Let each thread get its last answer."""
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def work(self, first: int) -> None:
        """Ask over one connection; a new one after each failure."""
        connection = self.server.connection()
        for turn in itertools.takewhile(lambda _: not self.ended.is_set(), itertools.count(first)):
            chosen = [turn % KNOWN] if turn % 5 else [(turn + step) % KNOWN for step in range(20)]
            answer = self.ask(connection, chosen)
            self.answers.append(answer)
            if not answer.status:
                connection.close()
            time.sleep(0.002 if answer.status else 0.05)
        connection.close()

    def ask(self, connection: http.client.HTTPConnection, chosen: list[int]) -> Answer:
        """One request."""
        rows = [{**self.rows[place], "id": next(NUMBERS)} for place in chosen]
        ids, sent, status = [str(row["id"]) for row in rows], time.monotonic(), 0
        try:
            body = json.dumps(rows if len(rows) > 1 else rows[0])
            connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
            reply = connection.getresponse()
            status, found = reply.status, json.loads(reply.read())
        except (OSError, http.client.HTTPException) as error:
            status, found = 0, repr(error)
        return Answer(chosen, ids, sent, time.monotonic(), status, found)


class Slow:
    """A request for `rows` whose second half is sent by `end`."""

    def __init__(self, server: Serving, rows: Sequence[dict[str, Any]]) -> None:
        """Send the head, wait until the server reads what follows it, and send the first half."""
        self.body = json.dumps(rows).encode()
        self.connection = server.connection()
        self.connection.putrequest("POST", "/predict")
        self.connection.putheader("content-type", "application/json")
        self.connection.putheader("content-length", str(len(self.body)))
        # Without it, nobody knows whether the server has seen the request yet: one that has not is no request on
        # its way, and ends with the connection.
        self.connection.putheader("expect", "100-continue")
        self.connection.endheaders()
        first = self.connection.sock.recv(4096)
        assert first.startswith(b"HTTP/1.1 100 "), first
        self.connection.send(self.body[: len(self.body) // 2])

    def end(self) -> Answer:
        """Send the second half; the answer."""
        with closing(self.connection):
            self.connection.send(self.body[len(self.body) // 2 :])
            reply = self.connection.getresponse()
            return Answer([], [], 0, 0, reply.status, json.loads(reply.read()))


def wrk(server: Serving, body: Path, seconds: int, connections: int, pause: int = 0) -> dict[str, float]:
    """Ask from another process by wrk, each connection with a pause (ms) between requests; rate, p99, errors."""
    assert shutil.which("wrk"), "wrk is not installed: apt-get install wrk"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(ROOT / "benchmarks/post.lua"),
               f"http://127.0.0.1:{server.port}/predict", "--", str(body), str(pause)]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    return dict(json.loads(done.stdout.splitlines()[-1]))
