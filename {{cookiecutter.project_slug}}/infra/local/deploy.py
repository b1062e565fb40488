"""Let an environment run an image: on the machine that this is called on, and by a tag for every other machine.

The cloud of this project is `local`, so an environment is two things: a container on this machine, which for
production should be a runner of your own, and the tag `staging` or `production` of the image, which any other machine
can pull. Needs nothing but Docker.

    python3 infra/deploy.py current ENVIRONMENT REPOSITORY   the image that the environment runs; empty: none
    python3 infra/deploy.py roll-out ENVIRONMENT IMAGE       run IMAGE (REPOSITORY@sha256:...); prints its address
    python3 infra/deploy.py stop ENVIRONMENT REPOSITORY      run nothing
    python3 infra/deploy.py log ENVIRONMENT REPOSITORY       its prediction log, as the folder `predictions`
"""

from __future__ import annotations

import argparse
import subprocess
import sys

#: The port of each environment, on this machine alone.
PORTS = {"staging": 8001, "production": 8000}
#: What a registry says of a tag or an image that it does not have.
UNKNOWN = ("manifest unknown", "not found", "name unknown")
#: No right that a server does not need, and nothing to write to but the log of predictions.
CONFINED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp")


class Failed(Exception):
    """Docker refused; the message is what it said."""


def docker(*arguments: str) -> str:
    """What a command of Docker printed. Raises Failed."""
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
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
        if any(words in str(error).lower() for words in UNKNOWN):
            return ""
        raise
    known = docker("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', f"{repository}:{environment}")
    return next(one for one in known.splitlines() if one.startswith(f"{repository}@"))


def stop(environment: str, repository: str) -> None:
    """Let nothing run; requests at work get the 30 s that the server gives them."""
    container = name(environment, repository)
    if docker("ps", "--all", "--quiet", "--filter", f"name=^{container}$"):
        docker("stop", "--time", "35", container)
        docker("rm", "--force", container)


def roll_out(environment: str, image: str) -> str:
    """Run the image and move the environment's tag to it; where it listens."""
    repository = image.partition("@")[0]
    docker("pull", "--quiet", image)
    docker("tag", image, f"{repository}:{environment}")
    docker("push", "--quiet", f"{repository}:{environment}")
    stop(environment, repository)
    container, port = name(environment, repository), str(PORTS[environment])
    docker("run", "--detach", "--name", container, "--restart", "unless-stopped", *CONFINED,
           "--network", "host", "--env", "SERVE_TOKEN", "--volume", f"{container}:/app/predictions",
           image, "serve", "--host", "127.0.0.1", "--port", port, "--bundle", "bundle")  # fmt: skip
    return f"http://127.0.0.1:{port}"


def log(environment: str, repository: str) -> None:
    """Copy the prediction log of what runs on this machine here; where nothing runs, there is none."""
    container = name(environment, repository)
    if docker("ps", "--all", "--quiet", "--filter", f"name=^{container}$"):
        docker("cp", f"{container}:/app/predictions/.", "predictions")


def main() -> int:
    """Do what is asked; 1 with one line when it cannot be done."""
    parser = argparse.ArgumentParser(prog="infra/deploy.py", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("current", "roll-out", "stop", "log"):
        sub = commands.add_parser(command)
        sub.add_argument("environment", choices=PORTS)
        sub.add_argument("image" if command == "roll-out" else "repository")
    asked = parser.parse_args()
    try:
        if asked.command == "roll-out":
            print(roll_out(asked.environment, asked.image))
        elif asked.command == "current":
            print(current(asked.environment, asked.repository))
        else:
            {"stop": stop, "log": log}[asked.command](asked.environment, asked.repository)
    except Failed as error:
        print(f"{asked.command} {asked.environment}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
