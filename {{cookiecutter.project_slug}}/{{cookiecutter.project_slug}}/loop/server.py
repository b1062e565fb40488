"""The clone's server, asked over HTTP as any client would ask it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import config, schema
from ..errors import InputError
from ..registry import tracking
from ..serving.client import Client
from .scratch import HOME, Clone

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

HOST, SAID = "127.0.0.1", HOME / "server.txt"
#: Seconds for the server to start or to follow a new champion, and between two looks.
FOLLOW, PERIOD = 90, 0.05


class Server(Client):
    """A running server."""

    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        """At a port of this machine."""
        super().__init__(f"http://{HOST}:{port}")
        self.process = process

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
        found = self.predict(rows[[*contract.key, *contract.inputs]], contract, settings)
        self.wait("/readyz", lambda said: said["log"]["waiting"] == 0, "write its log")
        return found


@contextmanager
def served(clone: Clone, digest: str) -> Iterator[Server]:
    """The clone's server on a free port, once this champion answers, until the end of the context."""
    with socket.create_server((HOST, 0)) as listener:
        port = int(listener.getsockname()[1])
    with clone.started(SAID, tracking.NAME, "serve", "--port", str(port)) as process:
        server = Server(port, process)
        server.follow(digest)
        yield server
