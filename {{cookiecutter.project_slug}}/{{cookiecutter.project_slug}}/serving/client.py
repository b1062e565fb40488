"""A client of the server: requests within its limits, its answers in the order of the rows."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .. import config, schema
from ..errors import InputError
from . import version

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: The header by which a smoke test names the model that it asks.
SMOKE = "x-smoke"
#: Seconds for one answer.
ANSWER = 60


class Client:
    """Asks the server at one address, with the token in `SERVE_TOKEN` if there is one."""

    def __init__(self, url: str) -> None:
        """`url`: http or https, a host, perhaps a port and a path. Raises InputError for any other."""
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        try:
            parts = urlsplit(url)
            self.kind, self.host, self.port = kinds[parts.scheme], parts.hostname or "", parts.port
        except (KeyError, ValueError):
            self.host = ""
        if not self.host:
            raise InputError(f"{url} is no address of a server: give one as http://HOST:PORT")
        self.path = parts.path.rstrip("/")
        token = os.environ.get("SERVE_TOKEN")
        self.headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Status and JSON of an answer; of another answer its beginning as text. Raises OSError."""
        connection = self.kind(self.host, self.port, timeout=ANSWER)
        try:
            connection.request(method, self.path + path, body, self.headers)
            answer = connection.getresponse()
            said = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"no HTTP: {error!r}") from error
        finally:
            connection.close()
        try:
            return answer.status, json.loads(said)
        except ValueError:
            return answer.status, said[:300].decode("utf-8", "replace")

    def predict(self, rows: pd.DataFrame, contract: schema.Schema, settings: config.Serve) -> np.ndarray:
        """The server's answers to `rows`, (n,) or (n, K). Raises InputError when it refuses them, OSError."""
        import numpy as np

        found: list[Any] = []
        for body in bodies(rows, settings):
            status, said = self.ask("POST", "/predict", body)
            if status != 200:
                raise InputError(f"the server answered {status} to rows of the table: {str(said)[:300]}")
            found += said["predictions"]
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
