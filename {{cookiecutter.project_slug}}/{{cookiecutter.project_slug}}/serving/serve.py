"""The command `serve`: registry, model, log and HTTP put together, and taken apart again at SIGTERM."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .. import config, schema
from ..errors import InputError
from .app import Server, application
from .log import PredictionLog
from .metrics import Metrics
from .monitored import REPORT, Monitored
from .shadow import Shadow
from .swap import Champions, Served

if TYPE_CHECKING:
    import uvicorn

#: Seconds that requests at work get after SIGTERM.
DRAIN = 30
LOG = logging.getLogger("serve")
#: The process, its threads and lines of code say nothing about a request.
LEFT_OUT = ["process", "log.origin", "log.original", "color_message"]


def build(settings: config.Serve, bundle: Path | None, max_age_days: float) -> tuple[Server, schema.Schema]:
    """All parts, none at work but the model of `bundle`, if one is given; after `max_age_days` a model is too old.

    Raises InputError, GateClosed.
    """
    contract = schema.load()
    metrics = Metrics(contract, settings.max_requests)

    def taken(alias: str, served: Served) -> None:
        if alias == "champion":
            metrics.champion(served.version, served.made)
        LOG.info("%s is version %s", alias, served.number, extra={"labels": {"digest": served.version.digest}})

    def refused(alias: str, reason: str) -> None:
        metrics.refused.inc()
        LOG.error("%s refused: %s", alias, reason)

    aliases = ("champion", *["challenger"] * settings.shadow)
    champions = Champions(aliases, settings.max_rows, settings.refresh_seconds, taken, refused)
    if bundle and not bundle.is_dir():
        raise InputError(f"{bundle} is no bundle: write one with `export champion FOLDER`")
    if bundle:
        champions.take("champion", bundle, "bundle")
    log = PredictionLog(settings.log, contract)
    shadow = Shadow(champions, metrics) if settings.shadow else None
    metrics.page.register(Monitored(REPORT, max_age_days))
    metrics.gauge("registry_unreachable", "1 while the registry does not answer", lambda: bool(champions.unreachable))
    metrics.gauge("prediction_log_waiting_rows", "Rows not yet on disk", lambda: log.waiting)
    metrics.counted("prediction_log_dropped_rows", "Rows that found no room to wait", lambda: log.dropped)
    metrics.counted("prediction_log_failures", "Parts that could not be written", lambda: log.failures)
    metrics.counted("shadow_dropped", "Requests the challenger did not score", lambda: shadow.dropped if shadow else 0)
    server = Server(settings, champions, metrics, log, shadow)
    metrics.gauge("serve_in_flight", "Requests at work now", lambda: server.at_work)
    return server, contract


def program(settings: config.Serve, bundle: Path | None, max_age_days: float) -> uvicorn.Server:
    """The whole server, to be run on a socket; the rest as for `build`."""
    import uvicorn

    server, contract = build(settings, bundle, max_age_days)
    app = application(server, contract, Path.cwd().name)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        server.log.start()
        if not bundle:
            server.champions.start()
        yield
        server.champions.stop()
        server.log.close()

    app.router.lifespan_context = lifespan
    return uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, server_header=False,
                                         timeout_graceful_shutdown=DRAIN))  # fmt: skip


def listen(host: str, port: int) -> socket.socket:
    """A socket at this address. Raises InputError when it cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        raise InputError(f"cannot listen at {host}, port {port} ({error}): give another --host or --port") from error


def main(host: str, port: int, bundle: Path | None) -> int:
    """Serve until SIGTERM or SIGINT; requests at work are answered and the log written before the end.

    Raises InputError when the address is taken, and what `build` raises.
    """
    import ecs_logging

    door = listen(host, port)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(ecs_logging.StdlibFormatter(exclude_fields=LEFT_OUT))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    params = config.load()
    made = program(params.serve, bundle, params.monitor.max_age_days)
    LOG.info("listening at %s, port %d", host, port)
    made.run(sockets=[door])
    return 0
