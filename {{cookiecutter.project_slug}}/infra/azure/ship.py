"""Beside a server: what it logged goes to a storage container each minute, and once more when the server has ended.

A folder a server, so that nobody touches what is another's. A file that the server removed, since its hour is merged
or its day is over, goes there as well.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import ContainerClient

FOLDER = Path("/app/predictions")


def ship(container: ContainerClient, shipped: dict[str, int]) -> None:
    """Make the container as the folder is; `shipped` says what is there, and when it was written."""
    found = {}
    for path in FOLDER.glob("*/*/[!.]*.parquet"):  # a name with a dot first is not finished
        name = f"{os.environ['CONTAINER_APP_REPLICA_NAME']}/{path.relative_to(FOLDER).as_posix()}"
        try:
            found[name] = path.stat().st_mtime_ns
            if shipped.get(name) != found[name]:
                container.upload_blob(name, path.read_bytes(), overwrite=True)
                shipped[name] = found[name]
        except FileNotFoundError:  # merged a moment ago: its rows are in another file, which is next
            found.pop(name, None)
    for name in set(shipped) - set(found):
        try:
            container.delete_blob(name)
        except ResourceNotFoundError:  # its days are over there, too
            pass
        del shipped[name]


def main() -> None:
    """Ship until the server has ended: it is told at the same moment as this, and has 30 s to answer what it took."""
    identity = ManagedIdentityCredential(client_id=os.environ["IDENTITY"])
    container = ContainerClient.from_container_url(os.environ["CONTAINER"], credential=identity)
    shipped: dict[str, int] = {}
    ends = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ends.set())
    last = 0.0
    while not last or time.monotonic() < last:
        if ends.wait(60):
            last = last or time.monotonic() + 45
            time.sleep(5)
        try:
            ship(container, shipped)
        except AzureError as error:  # what did not arrive is tried again
            print(f"the log waits: {error}", flush=True)


if __name__ == "__main__":
    main()
