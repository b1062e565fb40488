"""The smoke test of a deployment: whether a server elsewhere answers a bundle's golden rows as its pipeline did."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from .. import config, record, schema
from ..errors import InputError
from ..registry import golden
from .client import SMOKE, Client

#: Seconds until the server must be there with the bundle's model, and between two looks.
START, PERIOD = 60, 0.5


def wait(client: Client, digest: str) -> None:
    """Wait until the server is ready and the model with this digest answers. Raises InputError after `START`."""
    limit, said = time.monotonic() + START, "nothing"
    while time.monotonic() < limit:
        said = look(client, digest)
        if not said:
            return
        time.sleep(PERIOD)
    raise InputError(f"the server does not serve {digest[:12]} after {START} s: {said}")


def look(client: Client, digest: str) -> str:
    """What keeps the server from answering with this model now; nothing when it is ready to."""
    answer: Any
    try:
        status, answer = client.ask("GET", "/readyz")
        if status == 200:
            status, answer = client.ask("GET", "/version")
    except OSError as error:
        return f"it cannot be reached ({error})"
    if status != 200:
        return f"it says {status}: {str(answer)[:300]}"
    found = answer.get("digest") if isinstance(answer, dict) else None
    return "" if found == digest else f"it serves {str(found)[:12]}"


def main(url: str, bundle: Path) -> int:
    """0 once the server at `url` has given the golden answers of `bundle`, to many rows at once and one by one.

    Raises InputError when it does not, or serves another model.
    """
    if not bundle.is_dir():
        raise InputError(f"{bundle} is no bundle: write one with `export champion FOLDER`")
    client = Client(url)
    digest = str(record.read_json(bundle / "lineage.json")["digest"])
    contract, settings = schema.load(bundle / "schema.yaml"), config.load().serve
    table, answers = golden.read(bundle / golden.PATH.name, contract)
    wait(client, digest)
    client.headers[SMOKE] = digest  # made-up rows are no traffic, and would look like drift
    single = settings.model_copy(update={"max_rows": 1})
    for how, limits in (("many rows", settings), ("one row", single)):
        try:
            said = client.predict(table, contract, limits)
        except OSError as error:
            raise InputError(f"the server did not answer a request of {how}: {error}") from error
        if not golden.equal(said, answers):
            reason = f"the server's answers to a request of {how} are not the golden ones of {digest[:12]}"
            raise InputError(f"{reason}: do not let it answer anybody; roll back")
    print(f"{url} answers {len(table)} golden rows as {digest[:12]} did when it was trained")
    return 0
