"""Let an environment run an image: as a service of Cloud Run.

What Terraform made is in `created.json` beside this file. Needs Google Cloud's command line, logged in as the role
`deployer` (`log` and `show`: `trainer`).

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
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CREATED = Path(__file__).with_name("created.json")
#: Servers that stay up when nobody asks; beyond them Cloud Run follows the requests.
LEAST = {"staging": 0, "production": 1}
#: Of the log's bucket: what a server has not finished, and what stands for a folder.
PASSED_OVER = r"(.*/)?\.[^/]*$|.*/$"


class Failed(Exception):
    """Google refused, or what it was asked for did not come about; the message says which."""


def created() -> dict[str, Any]:
    """Names and addresses of what Terraform made. Raises Failed."""
    if not CREATED.exists():
        raise Failed("infra/created.json is missing: make the infrastructure, and commit that file (infra/README.md)")
    found: dict[str, Any] = json.loads(CREATED.read_text(encoding="utf-8"))
    return found


def gcloud(*arguments: str, typed: str = "") -> str:
    """What a command of Google Cloud's command line printed. Raises Failed."""
    command = ["gcloud", "--quiet", f"--project={created()['project']}", *arguments]
    try:
        done = subprocess.run(command, input=typed, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failed("Google Cloud's command line is not installed") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise Failed(next((line for line in lines if line.startswith("ERROR:")), lines[-1]))
    return done.stdout.strip()


def update(environment: str, *change: str) -> None:
    """Change the service, and wait until it is as it should be."""
    gcloud("run", "services", "update", created()["services"][environment], f"--region={created()['region']}", *change)


def current(environment: str, _repository: str) -> str:
    """The image that was accepted last; empty where none was."""
    bucket = f"gs://{created()['accepted']}"
    known = gcloud("storage", "ls", bucket).splitlines()
    return gcloud("storage", "cat", f"{bucket}/{environment}") if f"{bucket}/{environment}" in known else ""


def stop(environment: str, _repository: str) -> None:
    """Let nobody reach it: a server that nobody asks ends by itself, once it has answered what it has at work."""
    update(environment, "--ingress=internal", "--min=0")


def roll_out(environment: str, image: str) -> str:
    """Run the image in place of what runs, as Terraform last said how; where it listens.

    Raises Failed as well where what ran before goes on, since no server of the new image answered its golden row.
    """
    update(environment, f"--image={image}", "--ingress=all", f"--min={LEAST[environment]}")
    address: str = created()["environments"][environment]
    return address


def accept(environment: str, image: str) -> None:
    """Write down that this image is what there is to go back to."""
    gcloud("storage", "cp", "-", f"gs://{created()['accepted']}/{environment}", typed=image)


def log(environment: str, _repository: str) -> None:
    """Copy the prediction log here, of all servers that there were; where there is none, nothing is made."""
    bucket = f"gs://{created()['predictions'][environment]}"
    with tempfile.TemporaryDirectory() as scratch:
        gcloud("storage", "rsync", "--recursive", f"--exclude={PASSED_OVER}", bucket, scratch)
        for path in Path(scratch).glob("*/*/*.parquet"):
            target = "predictions" / path.relative_to(scratch)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)


def show(environment: str, _repository: str) -> None:
    """Give Cloud Monitoring what the monitor found: three figures, 1 for yes; that they came says that it ran."""
    report = json.loads(Path("reports/monitor.json").read_text(encoding="utf-8"))
    found = {
        "Drift": any(one["gate"] == "drift" and one["asks"] for one in report["concerns"]),
        "QualityBad": report["quality"]["verdict"] == "bad",
        "RetrainingHalted": report["decision"] == "halted",
    }
    now, project = dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), created()["project"]
    series = [
        {
            "metric": {"type": f"custom.googleapis.com/{created()['name']}/{name}"},
            "resource": {"type": "global", "labels": {"project_id": project}},
            "points": [{"interval": {"endTime": now}, "value": {"doubleValue": float(value)}}],
        }
        for name, value in found.items()
    ]
    if environment == "production":
        post(f"https://monitoring.googleapis.com/v3/projects/{project}/timeSeries", {"timeSeries": series})


def post(address: str, body: dict[str, Any]) -> None:
    """Send to Google what its command line has no command for. Raises Failed."""
    headers = {"authorization": f"Bearer {gcloud('auth', 'print-access-token')}", "content-type": "application/json"}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    try:
        urllib.request.urlopen(request, timeout=60).close()
    except urllib.error.HTTPError as error:
        raise Failed(f"{address}: {error.code} {error.read(500).decode('utf-8', 'replace')}") from None
    except OSError as error:
        raise Failed(f"{address}: {error}") from None


def main() -> int:
    """Do what is asked; 1 with one line when it cannot be done."""
    parser = argparse.ArgumentParser(prog="infra/deploy.py", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    does = {"current": current, "roll-out": roll_out, "accept": accept, "stop": stop, "log": log, "show": show}
    for command in does:
        sub = commands.add_parser(command)
        sub.add_argument("environment", choices=LEAST)
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
