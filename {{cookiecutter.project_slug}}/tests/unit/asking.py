"""An ASGI app asked without a network: bytes in, status, headers and bytes out; and a server for clients to ask."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


async def asked(app: Any, method: str, path: str, parts: Iterable[bytes | float | None], headers: dict[str, str]
                ) -> Answer:  # fmt: skip
    """Send a request whose body arrives in `parts`: bytes, seconds to wait, None for a client that goes away."""
    incoming, outgoing = iter(parts), []
    held = next(incoming, b"")

    async def receive() -> dict[str, Any]:
        nonlocal held
        part = held
        if isinstance(part, float):
            await asyncio.sleep(part)
            part = b""
        if part is None:
            return {"type": "http.disconnect"}
        try:
            held = next(incoming)
        except StopIteration:
            return {"type": "http.request", "body": part, "more_body": False}
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message: Any) -> None:
        outgoing.append(message)

    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
             "root_path": "", "scheme": "http", "http_version": "1.1", "client": ("127.0.0.1", 1),
             "server": ("127.0.0.1", 80), "asgi": {"version": "3.0"},
             "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()]}  # fmt: skip
    await app(scope, receive, send)
    start, *rest = outgoing
    given = {k.decode(): v.decode("latin-1") for k, v in start["headers"]}
    return Answer(start["status"], given, b"".join(message.get("body", b"") for message in rest))


def ask(app: Any, path: str, *parts: bytes | float | None, method: str = "", **headers: str) -> Answer:
    """One request; a POST of JSON when there is a body."""
    known = {"content-type": "application/json"} if parts else {}
    given = known | {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(asked(app, method or ("POST" if parts else "GET"), path, parts, given))


@contextmanager
def answering(*answers: tuple[int, Any]) -> Iterator[tuple[int, list[Any]]]:
    """The port of a server that gives these answers one after the other, the last for ever, and what it was asked."""
    asked: list[Any] = []
    left = [*answers]

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            asked.append(json.loads(body) if body else self.path)
            status, said = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(said if isinstance(said, bytes) else json.dumps(said).encode())

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            pass

    web = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        yield web.server_port, asked
    finally:
        web.shutdown()
        web.server_close()
