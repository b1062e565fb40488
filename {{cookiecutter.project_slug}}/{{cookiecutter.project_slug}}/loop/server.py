"""The clone's server, asked over HTTP as any client would ask it."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import config, schema
from ..errors import InputError
from ..registry import tracking
from ..serving import version
from .scratch import HOME, Clone

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

HOST, SAID = "127.0.0.1", HOME / "server.txt"
#: Seconds for the server to start or to follow a new champion, to answer one request, and between two looks.
FOLLOW, ANSWER, PERIOD = 90, 60, 0.05


class Server:
    """A running server."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        """At a port of this machine."""
        self.port, self.process = port, process

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Status and JSON of an answer. Raises OSError."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=ANSWER)
        try:
            connection.request(method, path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def wait(self, path: str, ready: Callable[[dict[str, Any]], bool], what: str) -> None:
        """Wait until the server's answer at `path` is `ready`. Raises InputError when it ends, or takes too long."""
        limit, said = time.monotonic() + FOLLOW, None
        while time.monotonic() < limit and self.process.poll() is None:
            try:
                status, said = self.ask("GET", path)
                if status == 200 and ready(said):
                    return
            except OSError:
                pass  # it does not listen yet
            time.sleep(PERIOD)
        raise InputError(f"the server did not {what} ({said or 'it said nothing'}): see {SAID}")

    def follow(self, digest: str) -> None:
        """Wait until the version with this digest answers. Raises InputError."""
        self.wait("/version", lambda said: bool(said["digest"] == digest), f"serve {digest[:12]}")

    def score(self, rows: pd.DataFrame, contract: schema.Schema, settings: config.Serve) -> np.ndarray:
        """The server's answers to `rows`, (n,) or (n, K), once all are in the prediction log. Raises InputError."""
        import numpy as np

        found: list[Any] = []
        for body in bodies(rows[[*contract.key, *contract.inputs]], settings):
            status, said = self.ask("POST", "/predict", body)
            if status != 200:
                raise InputError(f"the server answered {status} to rows of the table: {str(said)[:300]}")
            found += said["predictions"]
        self.wait("/readyz", lambda said: said["log"]["waiting"] == 0, "write its log")
        if contract.task == "multiclass":
            return np.array([[one["scores"][str(name)] for name in contract.classes] for one in found])
        return np.array([one["score"] for one in found])


def bodies(rows: pd.DataFrame, settings: config.Serve) -> Iterator[bytes]:
    """`rows` as requests within the server's limits of rows and bytes."""
    held: list[bytes] = []
    size = 0
    for row in version.requested(rows):
        text = json.dumps(row, default=lambda moment: moment.isoformat()).encode()
        if held and (len(held) == settings.max_rows or size + len(text) + 2 > settings.max_mb * 1e6):
            yield b"[" + b",".join(held) + b"]"
            held, size = [], 0
        held.append(text)
        size += len(text) + 1
    yield b"[" + b",".join(held) + b"]"


@contextmanager
def served(clone: Clone, digest: str) -> Iterator[Server]:
    """The clone's server on a free port, once this champion answers, until the end of the context."""
    with socket.create_server((HOST, 0)) as listener:
        port = int(listener.getsockname()[1])
    with clone.started(SAID, tracking.NAME, "serve", "--port", str(port)) as process:
        server = Server(port, process)
        server.follow(digest)
        yield server
