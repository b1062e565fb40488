"""Let an environment run an image: on the machine that this is called on, and by a tag for every other machine.

The cloud of this project is `local`, so an environment is two things: a container on this machine, which for
production should be a runner of your own, and the tag `staging` or `production` of the image, which any other machine
can pull. Needs nothing but Docker.

    python3 infra/deploy.py current ENVIRONMENT REPOSITORY   the image that was accepted last; empty: none
    python3 infra/deploy.py roll-out ENVIRONMENT IMAGE       run IMAGE (REPOSITORY@sha256:...); prints its address
    python3 infra/deploy.py accept ENVIRONMENT IMAGE         what runs has passed its smoke test: it is current
    python3 infra/deploy.py stop ENVIRONMENT REPOSITORY      run nothing
    python3 infra/deploy.py log ENVIRONMENT REPOSITORY       its prediction log, as the folder `predictions`
    python3 infra/deploy.py show ENVIRONMENT REPOSITORY      let its /metrics show reports/monitor.json
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

#: The port of each environment, on this machine alone.
PORTS = {"staging": 8001, "production": 8000}
#: What a registry says of a tag or an image that it does not have.
UNKNOWN = re.compile(r"(manifest|name) unknown|: not found$", re.IGNORECASE)
#: No right that a server does not need, and nothing to write to but its log and what the monitor found.
CONFINED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp")


class Failed(Exception):
    """Docker refused; the message is what it said."""


def docker(*arguments: str, typed: str = "") -> str:
    """What a command of Docker printed. Raises Failed."""
    try:
        done = subprocess.run(["docker", *arguments], input=typed, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failed("docker is not installed") from None
    if done.returncode:
        raise Failed(f"docker {arguments[0]}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    return done.stdout.strip()


def name(environment: str, repository: str) -> str:
    """The container of an environment."""
    return f"{repository.rpartition('/')[2]}-{environment}"


def current(environment: str, repository: str) -> str:
    """The image, by its digest, that the environment's tag points to; empty where there is no such tag yet."""
    try:
        docker("pull", "--quiet", f"{repository}:{environment}")
    except Failed as error:
        if UNKNOWN.search(str(error)):
            return ""
        raise
    known = docker("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', f"{repository}:{environment}")
    found = next((one for one in known.splitlines() if one.startswith(f"{repository}@")), None)
    if found is None:
        raise Failed(f"Docker has another name for {repository}: {known}")
    return found


def stop(environment: str, repository: str) -> None:
    """Let nothing run; requests at work get the 30 s that the server gives them."""
    container = name(environment, repository)
    if docker("ps", "--all", "--quiet", "--filter", f"name=^{container}$"):
        docker("stop", "-t", "35", container)
        docker("rm", "--force", container)


def roll_out(environment: str, image: str) -> str:
    """Run the image in place of what runs; where it listens."""
    repository = image.partition("@")[0]
    docker("pull", "--quiet", image)
    stop(environment, repository)
    container, port = name(environment, repository), str(PORTS[environment])
    docker("run", "--detach", "--name", container, "--restart", "unless-stopped", *CONFINED,
           "--network", "host", "--env", "SERVE_TOKEN", "--env", "LOG_KEY", "--env", f"PORT={port}",
           "--volume", f"{container}:/app/predictions", "--volume", f"{container}-reports:/app/reports",
           image, "serve", "--host", "127.0.0.1", "--bundle", "bundle")  # fmt: skip
    return f"http://127.0.0.1:{port}"


def accept(environment: str, image: str) -> None:
    """Move the environment's tag to the image."""
    tag = f"{image.partition('@')[0]}:{environment}"
    docker("tag", image, tag)
    docker("push", "--quiet", tag)


def log(environment: str, repository: str) -> None:
    """Copy the prediction log of what runs on this machine here; where nothing runs, there is none."""
    container = name(environment, repository)
    if docker("ps", "--all", "--quiet", "--filter", f"name=^{container}$"):
        docker("cp", f"{container}:/app/predictions/.", "predictions")


def show(environment: str, repository: str) -> None:
    """Give the monitor's report to what runs on this machine; where nothing runs, there is nobody to show it."""
    container = name(environment, repository)
    if docker("ps", "--quiet", "--filter", f"name=^{container}$"):
        report = Path("reports/monitor.json").read_text(encoding="utf-8")
        whole = "cat > reports/new && mv reports/new reports/monitor.json"
        docker("exec", "--interactive", container, "sh", "-c", whole, typed=report)


def main() -> int:
    """Do what is asked; 1 with one line when it cannot be done."""
    parser = argparse.ArgumentParser(prog="infra/deploy.py", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    does = {"current": current, "roll-out": roll_out, "accept": accept, "stop": stop, "log": log, "show": show}
    for command in does:
        sub = commands.add_parser(command)
        sub.add_argument("environment", choices=PORTS)
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
