"""The project's own server around a model that says the same of every row: what serving costs without a model.

Run in a project's folder with a bundle and a port: same request, same checks, same log, same answer.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

SLUG = "flight_delays"


def main(bundle: Path, port: int) -> None:
    """Serve until told to end."""
    sys.path.insert(0, "")
    serve = importlib.import_module(f"{SLUG}.serving.serve")
    server, contract = serve.build(importlib.import_module(f"{SLUG}.config").load().serve, bundle, 1)
    champion = server.champions.champion

    def half(rows: Any) -> np.ndarray:
        return np.full(len(rows), 0.5)

    rows = champion.version.golden[0]  # by which /readyz tells whether the right model answers
    version = dataclasses.replace(champion.version, arrays=half, golden=(rows, half(rows)))
    server.champions.served["champion"] = champion._replace(version=version)
    serve.build = lambda *_: (server, contract)
    serve.main("127.0.0.1", port, bundle)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
