"""The server's HTTP side: one version takes a request from its first to its last byte, whatever the registry says."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi_offline import FastAPIOffline
from prometheus_client import generate_latest
from pydantic_core import to_json
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse

from .. import config, schema
from ..registry import golden
from . import openapi
from .client import SMOKE
from .metrics import Metrics
from .requests import Refused, ids
from .swap import NOBODY, Champions, Served

if TYPE_CHECKING:
    from .log import PredictionLog
    from .shadow import Shadow

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Rows up to which scoring in the event loop is quicker than handing over to a thread.
FEW = 8
PATHS = ("/predict", "/healthz", "/readyz", "/version", "/metrics", "/docs", "/openapi.json")
#: What a token guards; the rest says nothing about anyone.
GUARDED = ("/predict", "/version", "/metrics")
TOKEN = "SERVE_TOKEN"
#: A client that went away.
GONE = 499
ACCESS = logging.getLogger("serve")


class Watchman:
    """ASGI middleware: the token, each request's id, and what is counted and logged of it.

    The log holds no value of a request: method, path, status, duration, id and the model's digest.
    """

    def __init__(self, app: Any, server: Server) -> None:
        """Around `app`."""
        self.app, self.server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter_ns(), 500
        headers = dict(scope["headers"])
        name = headers.get(b"x-request-id", b"")[:100] or uuid.uuid4().hex.encode()

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", name)]
            await send(message)

        try:
            if self.server.token and scope["path"] in GUARDED and not self.welcome(headers):
                await Response(b'{"detail":"give the header Authorization: Bearer TOKEN"}', 401,
                               {"www-authenticate": "Bearer"}, "application/json")(scope, receive, noted)  # fmt: skip
            else:
                await self.app(scope, receive, noted)
        finally:
            self.note(scope, status, time.perf_counter_ns() - began, name)

    def welcome(self, headers: dict[bytes, bytes]) -> bool:
        """Whether the request bears the token; in a time that does not tell how much of it was right."""
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self.server.token)

    def note(self, scope: Scope, status: int, nanoseconds: int, name: bytes) -> None:
        """Count and log one answer."""
        path = scope["path"] if scope["path"] in PATHS else "other"
        self.server.metrics.requests.labels(path, str(status)).inc()
        self.server.metrics.seconds.labels(path).observe(nanoseconds / 1e9)
        serves = self.server.champions.champion
        ACCESS.info("%s %s %d", scope["method"], path, status, extra={
            "http.request.id": name.decode("latin-1"), "http.request.method": scope["method"], "url.path": path,
            "http.response.status_code": status, "event.duration": nanoseconds,
            "labels": {"digest": serves.version.digest if serves else ""},
        })  # fmt: skip


class Server:
    """What the endpoints share."""

    def __init__(self, settings: config.Serve, champions: Champions, metrics: Metrics, log: PredictionLog,
                 shadow: Shadow | None) -> None:  # fmt: skip
        """Nothing is at work yet."""
        self.settings, self.champions, self.metrics = settings, champions, metrics
        self.log, self.shadow = log, shadow
        self.token = os.environ.get(TOKEN, "").encode()
        self.at_work = 0

    async def predict(self, request: Request) -> Response:
        """One row is an object, many are an array of objects; one version scores all of a request."""
        serves = self.champions.champion
        if serves is None:
            raise HTTPException(503, NOBODY)
        if self.at_work >= self.settings.max_requests:
            raise HTTPException(503, "too many requests at once: come again", {"retry-after": "1"})
        self.at_work += 1
        try:
            smoke = request.headers.get(SMOKE, "") == serves.version.digest
            return await self.answer(serves, await self.body(request), smoke)
        except Refused as error:
            return Response(to_json({"detail": error.problems}), 422, media_type="application/json")
        finally:
            self.at_work -= 1

    async def body(self, request: Request) -> bytes:
        """The request's body, within the limits. Raises HTTPException."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise HTTPException(415, "send content-type: application/json")
        most, found = int(self.settings.max_mb * 1e6), bytearray()
        too_much = int(request.headers.get("content-length") or 0) > most
        try:
            async with asyncio.timeout(self.settings.max_seconds):
                async for part in request.stream():  # to its end: a client that still sends would miss the answer
                    too_much = too_much or len(found) + len(part) > most
                    found = bytearray() if too_much else found + part
        except ClientDisconnect:
            raise HTTPException(GONE, "the client went away") from None
        except TimeoutError:
            if not too_much:
                said = f"the body took over {self.settings.max_seconds:g} s"
                raise HTTPException(408, said, {"connection": "close"}) from None
        if too_much:
            raise HTTPException(413, f"more than {most} bytes: send fewer rows at a time", {"connection": "close"})
        return bytes(found)

    async def answer(self, serves: Served, body: bytes, smoke: bool) -> Response:
        """Read, score, write down and answer; golden rows of a `smoke` test are no traffic. Raises Refused."""
        version, rows = serves.version, serves.reader.read(body)
        few = len(rows) <= FEW
        scores = version.score(rows) if few else await run_in_threadpool(version.score, rows)
        finite = np.isfinite(scores).reshape(len(rows), -1).all(axis=1)
        if not finite.all():
            bad = np.flatnonzero(~finite).tolist()
            raise Refused([{"row": i, "column": None, "rule": "gives no finite score"} for i in bad])
        names = ids(rows, version.contract)
        if not (smoke and version.made_up(rows)):
            self.log.add(version.digest, version.contract, names, rows, scores)
            self.metrics.answered(version, rows, scores)
            if self.shadow:
                self.shadow.offer(version, rows, scores)
        said = {"digest": version.digest, "predictions": predictions(serves, names, scores)}
        return Response(to_json(said), media_type="application/json")

    def readiness(self) -> tuple[int, dict[str, Any]]:
        """The status of `/readyz`, and why: ready is who answers a golden row rightly now."""
        serves, asked = self.champions.champion, self.champions.unreachable
        found = {"registry": asked or "ok", "refused": dict(self.champions.bad), "log": {
            "waiting": self.log.waiting, "dropped": self.log.dropped, "failures": self.log.failures}}  # fmt: skip
        if serves is None:
            return 503, {"ready": False, "reason": NOBODY, **found}
        rows, answers = serves.version.golden
        ready = golden.equal(serves.version.score(rows[:1]), answers[:1])
        reason = {} if ready else {"reason": "a golden row is not answered as it was in training: roll back"}
        return 200 if ready else 503, {"ready": ready, **reason, "digest": serves.version.digest, **found}

    def about(self) -> dict[str, Any]:
        """Who answers, and where it comes from."""
        serves, challenger = self.champions.champion, self.champions.served.get("challenger")
        if serves is None:
            raise HTTPException(503, NOBODY)
        version = serves.version
        return {"digest": version.digest, "version": serves.number, "path": version.path, "lineage": version.facts,
                "challenger": challenger.version.digest if challenger else None}  # fmt: skip


def predictions(serves: Served, names: list[str], scores: np.ndarray) -> list[dict[str, Any]]:
    """The answer's list: id, score (or one by class), and the decision it leads to."""
    version = serves.version
    if scores.ndim == 2:
        classes = list(map(str, version.contract.classes))
        found = [{"id": n, "scores": dict(zip(classes, row, strict=True))}
                 for n, row in zip(names, scores.tolist(), strict=True)]  # fmt: skip
    else:
        found = [{"id": name, "score": score} for name, score in zip(names, scores.tolist(), strict=True)]
    decisions = version.decide(scores)
    return [one | {"decision": d} for one, d in zip(found, decisions, strict=True)] if decisions else found


def application(server: Server, contract: schema.Schema, title: str) -> FastAPI:
    """The app around `server`; `contract` is documented until a champion brings its own."""
    app: FastAPI = FastAPIOffline(title=title, redoc_url=None)
    app.add_middleware(Watchman, server=server)
    app.post("/predict", summary="Score one row or many", responses=openapi.RESPONSES, response_class=Response)(
        server.predict
    )

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process lives."""
        return {"status": "ok"}

    @app.get("/readyz", responses={503: {"description": "Nobody to answer, or not rightly"}})
    async def readyz() -> Response:
        """Whether a version answers, tried on a golden row; with the state of registry and prediction log."""
        status, found = server.readiness()
        return Response(to_json(found), status, media_type="application/json")

    @app.get("/version", responses=openapi.NOT_READY)
    async def version() -> Response:
        """The champion's digest and lineage."""
        return Response(to_json(server.about()), media_type="application/json")

    @app.get("/metrics", response_class=PlainTextResponse, responses=openapi.TOKEN)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(generate_latest(server.metrics.page), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.openapi = lambda: openapi.document(app, server, contract)  # type: ignore[method-assign]  # as FastAPI documents
    return app
