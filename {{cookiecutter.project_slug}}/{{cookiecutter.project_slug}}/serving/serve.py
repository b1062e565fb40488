"""The command `serve`: registry, model, log and HTTP put together, and taken apart again at SIGTERM."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .. import config, schema
from .app import Server, application
from .log import PredictionLog
from .metrics import Metrics
from .shadow import Shadow
from .swap import Champions, Served

#: Seconds that requests at work get after SIGTERM.
DRAIN = 30
LOG = logging.getLogger("serve")
#: The process, its threads and lines of code say nothing about a request.
LEFT_OUT = ["process", "log.origin", "log.original"]


def build(settings: config.Serve, bundle: Path | None) -> tuple[Server, schema.Schema]:
    """All parts, none at work but the model of `bundle`, if one is given. Raises InputError, GateClosed."""
    contract = schema.load()
    metrics = Metrics(contract, settings.max_requests)

    def taken(alias: str, served: Served) -> None:
        if alias == "champion":
            metrics.champion(served.version, served.made)
        LOG.info("%s is version %s", alias, served.number, extra={"labels": {"digest": served.version.digest}})

    def refused(alias: str, reason: str) -> None:
        metrics.refused.inc()
        LOG.error("%s refused: %s", alias, reason)

    aliases = ("champion", "challenger") if settings.shadow else ("champion",)
    champions = Champions(aliases, settings.max_rows, settings.refresh_seconds, taken, refused)
    if bundle:
        champions.take("champion", bundle, "bundle", None, (bundle / "lineage.json").stat().st_mtime)
    log = PredictionLog(settings.log, contract)
    shadow = Shadow(champions, metrics) if settings.shadow else None
    metrics.gauge("registry_unreachable", "1 while the registry does not answer", lambda: bool(champions.unreachable))
    metrics.gauge("prediction_log_waiting_rows", "Rows not yet on disk", lambda: log.waiting)
    metrics.counted("prediction_log_dropped_rows", "Rows that found no room to wait", lambda: log.dropped)
    metrics.counted("prediction_log_failures", "Parts that could not be written", lambda: log.failures)
    metrics.counted("shadow_dropped", "Requests the challenger did not score", lambda: shadow.dropped if shadow else 0)
    return Server(settings, champions, metrics, log, shadow), contract


def main(host: str, port: int, bundle: Path | None) -> int:
    """Serve until SIGTERM or SIGINT; requests at work are answered and the log written before the end."""
    import ecs_logging
    import uvicorn

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(ecs_logging.StdlibFormatter(exclude_fields=LEFT_OUT))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    server, contract = build(config.load().serve, bundle)
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
    uvicorn.run(app, host=host, port=port, log_config=None, access_log=False, server_header=False,
                timeout_graceful_shutdown=DRAIN)  # fmt: skip
    return 0
