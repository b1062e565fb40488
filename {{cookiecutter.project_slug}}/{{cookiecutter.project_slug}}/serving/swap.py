"""Which version answers: the registry is asked again and again, and a new champion takes over once it has been tried.

It is fetched, checked and loaded beside the old one, and then one reference changes; a request takes that reference
once. A version that is not what it claims is refused and counted, and a registry that does not answer changes nothing:
the last bundles are kept in CACHE, so that even a restart finds the champion.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .. import record
from ..errors import GateClosed, InputError, StoreError
from ..registry import bundles, tracking, versions
from . import version as loading
from .requests import Reader
from .version import Version

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CACHE = Path(".serve")
#: Bundles kept: champion, challenger, previous, and one on its way.
KEPT = 4
#: Seconds after which a version that was refused is tried again: its store may have been restored.
RETRY = 300.0
NOBODY = "no version is champion yet: run `dvc repro` and `promote`"


class Served(NamedTuple):
    """A version that answers, what reads its requests, and its place in the registry."""

    version: Version
    reader: Reader
    number: str
    made: float


@dataclass
class Champions:
    """The versions at work. `look` asks the registry once; `start` does so every `period` seconds, until `stop`.

    `rows`: the most of one request. `alias` to `served`: who answers (`champion`) and who only listens (`challenger`).
    """

    aliases: tuple[str, ...]
    rows: int
    period: float
    taken: Callable[[str, Served], None]
    refused: Callable[[str, str], None]

    def __post_init__(self) -> None:
        """Nobody serves yet."""
        self.served: dict[str, Served] = {}
        self.bad: dict[str, str] = {}
        self.tried: dict[str, float] = {}
        self.said = ""
        self.unreachable = ""
        self.client: MlflowClient | None = None
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, name="registry", daemon=True)

    @property
    def champion(self) -> Served | None:
        """Who answers."""
        return self.served.get("champion")

    def watch(self) -> None:
        """Look until stopped."""
        while True:
            self.look()
            if self.ended.wait(self.period):
                return

    def look(self) -> None:
        """Ask the registry whom the aliases name, and take over what is new. Raises nothing."""
        try:
            self.client = self.client or tracking.client()
            named = versions.aliases(self.client)
            for alias in self.aliases:
                self.follow(alias, named.get(alias))
            self.unreachable = ""
        except Exception as error:  # whatever the stores raise: what serves goes on serving
            said = error if isinstance(error, StoreError) else tracking.unreachable(error)
            self.unreachable, self.client = str(said), None
        if not self.champion:
            self.restore()

    def follow(self, alias: str, number: str | None) -> None:
        """Take the version with this number into service for `alias`. Raises StoreError and what the store raises."""
        serves = self.served.get(alias)
        if number is None and alias != "champion":
            self.served.pop(alias, None)
        tried = self.tried.get(str(number), -RETRY)
        if number is None or time.monotonic() < tried + RETRY or (serves and serves.number == number):
            return
        assert self.client is not None
        found = self.client.get_model_version(tracking.NAME, number)
        try:
            folder = self.fetch(self.client, found)
            self.take(alias, folder, number, found.tags["digest"], found.creation_timestamp / 1000)
        except StoreError:
            raise
        except (InputError, GateClosed) as error:
            self.bad[number], self.tried[number] = str(error), time.monotonic()
            self.refused(alias, f"version {number}: {error}")
            return
        self.bad.pop(number, None)
        if alias == "champion":
            record.write_json(CACHE / "champion.json", {"number": number, "folder": folder.name,
                              "digest": found.tags["digest"], "sha256": found.tags["bundle_sha256"]})  # fmt: skip

    def fetch(self, client: MlflowClient, found: ModelVersion) -> Path:
        """The version's bundle in CACHE, checked. Raises GateClosed, InputError, StoreError."""
        sha256 = found.tags["bundle_sha256"]
        folder = CACHE / sha256[:16]
        if not (folder.is_dir() and bundles.content(folder) == sha256):
            with versions.bundle(client, found) as fresh, record.replacing(folder) as partial:
                for old in (partial, folder):  # of a killed server with this number, as in a container; damaged
                    shutil.rmtree(old, ignore_errors=True)
                shutil.copytree(fresh, partial, ignore=shutil.ignore_patterns("__pycache__"))
        folder.touch()
        for old in sorted(CACHE.glob("*/"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        return folder

    def take(self, alias: str, bundle: Path, number: str, digest: str | None = None, made: float | None = None) -> None:
        """Load a bundle, try it, and let it serve; unless said, as old as its files. Raises GateClosed, InputError."""
        version, since = loading.load(bundle, digest), made or (bundle / "lineage.json").stat().st_mtime
        self.served[alias] = Served(version, Reader(version.contract, self.rows), number, since)
        self.taken(alias, self.served[alias])

    def restore(self) -> None:
        """With nobody else to serve, serve the last champion that is in CACHE. Raises nothing."""
        try:
            last = record.read_json(CACHE / "champion.json")
            folder = CACHE / last["folder"]
            if bundles.content(folder) != last["sha256"]:
                raise InputError("its files were changed")
            self.take("champion", folder, last["number"], last["digest"])
        except Exception as error:  # whatever a file of another's holds
            if str(error) != self.said:
                print(f"nothing to serve in {CACHE}: {error}", file=sys.stderr)
            self.said = str(error)

    def start(self) -> None:
        """Begin to look."""
        self.thread.start()

    def stop(self) -> None:
        """Look no more."""
        self.ended.set()
