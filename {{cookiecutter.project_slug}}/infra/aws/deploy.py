"""Let an environment run an image: as a service of ECS, behind its door.

What Terraform made is in `created.json` beside this file. Needs AWS's command line, logged in as the role `deployer`
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
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

#: Seconds until ECS has replaced what runs, or gone back to it.
PATIENCE = 900
CREATED = Path(__file__).with_name("created.json")
ENVIRONMENTS = ("staging", "production")
#: Of a task definition, what makes a new one.
DEFINES = ("family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "volumes",
           "requiresCompatibilities", "cpu", "memory")  # fmt: skip


class Failed(Exception):
    """AWS refused, or what it was asked for did not come about; the message says which."""


def created() -> dict[str, Any]:
    """Names and addresses of what Terraform made. Raises Failed."""
    if not CREATED.exists():
        raise Failed("infra/created.json is missing: make the infrastructure, and commit that file (infra/README.md)")
    found: dict[str, Any] = json.loads(CREATED.read_text(encoding="utf-8"))
    return found


def aws(*arguments: str) -> Any:
    """What a command of AWS's command line answered. Raises Failed."""
    command = ["aws", "--region", created()["region"], "--output", "json", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failed("AWS's command line is not installed") from None
    if done.returncode:
        raise Failed(f"aws {' '.join(arguments[:2])}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return json.loads(done.stdout) if done.stdout.lstrip().startswith(("{", "[")) else None


def service(environment: str) -> dict[str, Any]:
    """The service of an environment, as ECS has it now."""
    asked = ("--cluster", created()["cluster"], "--services", environment)
    found: list[dict[str, Any]] = aws("ecs", "describe-services", *asked)["services"]
    if not found:
        raise Failed(f"the cluster {created()['cluster']} has no service {environment}: apply infra/ again")
    return found[0]


def logs() -> str:
    """The log group of what runs."""
    return f"/{created()['name']}/tasks"


def run(environment: str, *change: str) -> dict[str, Any]:
    """Change the service, and wait until ECS has ended what that began: how it is then. Raises Failed if it is not."""
    aws("ecs", "update-service", "--cluster", created()["cluster"], "--service", environment, *change)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = service(environment)
        states = {one["status"]: one.get("rolloutState") for one in found["deployments"]}
        if states.get("PRIMARY") == "FAILED":
            break
        if states == {"PRIMARY": "COMPLETED"} and found["runningCount"] == found["desiredCount"]:
            return found
        time.sleep(5)
    raise Failed(f"the service is not as it should be ({states}); what its servers said is in the log group {logs()}")


def parameter(environment: str) -> str:
    """Where it is written which image was accepted last."""
    return f"/{created()['name']}/{environment}/image"


def current(environment: str, _repository: str) -> str:
    """The image that was accepted last; empty where none was."""
    found: str = aws("ssm", "get-parameter", "--name", parameter(environment))["Parameter"]["Value"]
    return "" if found == "none" else found


def stop(environment: str, _repository: str) -> None:
    """Let nothing run; requests at work get the 30 s that the server gives them."""
    run(environment, "--desired-count", "0")


def roll_out(environment: str, image: str) -> str:
    """Run the image in place of what runs, as Terraform last said how; where it listens.

    Raises Failed as well where ECS went back to what ran before, since no server of the new image became healthy.
    """
    family = f"{created()['name']}-{environment}"
    latest = aws("ecs", "describe-task-definition", "--task-definition", family)["taskDefinition"]
    for container in latest["containerDefinitions"]:
        if container["name"] == "server":
            container["image"] = image
    wanted = json.dumps({key: latest[key] for key in DEFINES if key in latest})
    revision = aws("ecs", "register-task-definition", "--cli-input-json", wanted)["taskDefinition"]["taskDefinitionArn"]
    servers = max(1, service(environment)["desiredCount"])
    settled = run(environment, "--task-definition", revision, "--desired-count", str(servers))
    if settled["taskDefinition"] != revision:
        raise Failed(f"no server of {image} became healthy; what it said is in the log group {logs()}")
    address: str = created()["environments"][environment]
    return address


def accept(environment: str, image: str) -> None:
    """Write down that this image is what there is to go back to."""
    aws("ssm", "put-parameter", "--overwrite", "--name", parameter(environment), "--value", image)


def log(environment: str, _repository: str) -> None:
    """Copy the prediction log here, of all servers that there were; where there is none, nothing is made."""
    with tempfile.TemporaryDirectory() as scratch:
        aws("s3", "sync", "--only-show-errors", f"s3://{created()['predictions']}/{environment}", scratch)
        for path in Path(scratch).glob("*/*/*/*.parquet"):  # the task, then as a server names its files
            target = Path("predictions", *path.relative_to(scratch).parts[1:])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)


def show(environment: str, _repository: str) -> None:
    """Give CloudWatch what the monitor found: three figures, 1 for yes; that they came is one of its own."""
    report = json.loads(Path("reports/monitor.json").read_text(encoding="utf-8"))
    found = {
        "Drift": any(one["gate"] == "drift" and one["asks"] for one in report["concerns"]),
        "QualityBad": report["quality"]["verdict"] == "bad",
        "RetrainingHalted": report["decision"] == "halted",
    }
    data = [{"MetricName": name, "Value": float(value)} for name, value in found.items()]
    if environment == "production":
        aws("cloudwatch", "put-metric-data", "--namespace", created()["name"], "--metric-data", json.dumps(data))


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
