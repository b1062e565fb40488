"""Let an environment run an image: as an app of Container Apps.

What Terraform made is in `created.json` beside this file. Needs Azure's command line, logged in as the role `deployer`
(`log` and `show`: `trainer`).

    python3 infra/deploy.py current ENVIRONMENT REPOSITORY   the image that was accepted last; empty: none
    python3 infra/deploy.py roll-out ENVIRONMENT IMAGE       run IMAGE (REPOSITORY@sha256:...); prints its address
    python3 infra/deploy.py accept ENVIRONMENT IMAGE         what runs has passed its smoke test: it is current
    python3 infra/deploy.py stop ENVIRONMENT REPOSITORY      run nothing
    python3 infra/deploy.py log ENVIRONMENT REPOSITORY       its prediction log, as the folder `predictions`
    python3 infra/deploy.py show ENVIRONMENT REPOSITORY      let the alarms know what reports/monitor.json says
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CREATED = Path(__file__).with_name("created.json")
ENVIRONMENTS = ("staging", "production")
#: Seconds for a new server to be fetched, started and found healthy.
PATIENCE = 300


class Failed(Exception):
    """Azure refused, or what it was asked for did not come about; the message says which."""


def created() -> dict[str, Any]:
    """Names and addresses of what Terraform made. Raises Failed."""
    if not CREATED.exists():
        raise Failed("infra/created.json is missing: make the infrastructure, and commit that file (infra/README.md)")
    found: dict[str, Any] = json.loads(CREATED.read_text(encoding="utf-8"))
    return found


def az(*arguments: str) -> Any:
    """What a command of Azure's command line answered. Raises Failed."""
    command = ["az", *arguments, "--only-show-errors", "--output", "json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failed("Azure's command line is not installed") from None
    if done.returncode:
        raise Failed(f"az {' '.join(arguments[:2])}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return json.loads(done.stdout) if done.stdout.lstrip().startswith(("{", "[")) else None


def made(environment: str) -> dict[str, str]:
    """The id and the address of an environment's app."""
    found: dict[str, dict[str, str]] = created()["environments"]
    if environment not in found:
        raise Failed("there is no such app yet: push MLflow's image, apply, and commit created.json (infra/README.md)")
    return found[environment]


def app(environment: str, *command: str) -> Any:
    """Ask for, or change, the app of an environment."""
    made(environment)
    group = ("--resource-group", created()["group"], "--subscription", created()["subscription"])
    return az("containerapp", *command, "--name", environment, *group)


def current(environment: str, _repository: str) -> str:
    """The image that was accepted last; empty where none was."""
    found: str = app(environment, "show")["tags"]["accepted"]
    return "" if found == "none" else found


def stop(environment: str, _repository: str) -> None:
    """Let nothing run; requests at work get the 30 s that the server gives them."""
    for revision in app(environment, "revision", "list"):
        app(environment, "revision", "deactivate", "--revision", revision["name"])


def roll_out(environment: str, image: str) -> str:
    """Run the image in place of what runs, as Terraform last said how; where it listens.

    Raises Failed as well where no server of the image became healthy: then what ran before answers on.
    """
    changed = app(environment, "update", "--container-name", "server", "--image", image)
    revision: str = changed["properties"]["latestRevisionName"]
    if not app(environment, "revision", "show", "--revision", revision)["properties"]["active"]:
        app(environment, "revision", "activate", "--revision", revision)  # the same image as before a stop
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        time.sleep(5)
        state = app(environment, "revision", "show", "--revision", revision)["properties"]
        ready = app(environment, "show")["properties"].get("latestReadyRevisionName")
        if ready == revision and state["active"] and state.get("healthState") == "Healthy" and state.get("replicas"):
            return made(environment)["url"]
    raise Failed(f"no server of {image} became healthy: az containerapp logs show --name {environment} "
                 f"--resource-group {created()['group']} --container server")  # fmt: skip


def accept(environment: str, image: str) -> None:
    """Write down that this image is what there is to go back to."""
    az("tag", "update", "--resource-id", made(environment)["id"], "--operation", "Merge", "--tags", f"accepted={image}")


def log(environment: str, _repository: str) -> None:
    """Copy the prediction log here, of all servers that there were; where there is none, nothing is made."""
    source = ("--account-name", created()["account"], "--source", f"predictions-{environment}")
    with tempfile.TemporaryDirectory() as scratch:
        az("storage", "blob", "download-batch", "--auth-mode", "login", *source, "--destination", scratch)
        for path in Path(scratch).glob("*/*/*/*.parquet"):  # the server, then as it names its files
            target = Path("predictions", *path.relative_to(scratch).parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)


def show(environment: str, _repository: str) -> None:
    """Give Azure's Monitor what ours found: three answers in a row of its table; that they came is one of its own."""
    report = json.loads(Path("reports/monitor.json").read_text(encoding="utf-8"))
    found = {
        "TimeGenerated": dt.datetime.now(dt.UTC).isoformat(),
        "Drift": any(one["gate"] == "drift" and one["asks"] for one in report["concerns"]),
        "QualityBad": report["quality"]["verdict"] == "bad",
        "RetrainingHalted": report["decision"] == "halted",
    }
    if environment == "production":
        az("rest", "--method", "post", "--url", created()["monitor"], "--resource", "https://monitor.azure.com",
           "--headers", "Content-Type=application/json", "--body", json.dumps([found]))  # fmt: skip


def main() -> int:
    """Do what is asked; 1 with one line when it cannot be done."""
    parser = argparse.ArgumentParser(prog="infra/deploy.py", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    does = {"current": current, "roll-out": roll_out, "accept": accept, "stop": stop, "log": log, "show": show}
    for command in does:
        sub = commands.add_parser(command)
        sub.add_argument("environment", choices=ENVIRONMENTS)
        sub.add_argument("what", metavar="IMAGE" if command in ("roll-out", "accept") else "REPOSITORY")
    asked = parser.parse_args()
    try:
        said = does[asked.command](asked.environment, asked.what)
        if said is not None:
            print(said)
    except Failed as error:
        print(f"{asked.command} {asked.environment}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
