"""A real Docker engine and a real registry of images, started for the tests; a base image of this machine's Debian.

Where an engine runs already, it is taken, and pulls what the Dockerfile begins with. The one that is started here, by
root, has no network of its own, so a container shares the machine's; and what the Dockerfile begins with is made here.
A second one has networks for its containers, in a namespace that sees nothing else: images are brought to it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from baking import ROOT
from running import free_port

DOCKER, BASE = "/usr/bin/docker", "base-of-the-tests"
STAND_INS = ROOT / "tests" / "stand_ins" / "compose.yaml"
# Nothing of the machine's network is changed.
APART = ("--bridge=none", "--iptables=false", "--ip-masq=false", "--ip-forward=false")
# The client, as the tests need it: a build shares the machine's network, and begins with the base image made here.
CLIENT = f"""#!/bin/sh
if [ "$1" = build ]; then
  shift
  sed 's/^FROM python:.* AS base$/FROM {BASE} AS base/' Dockerfile > "$0.dockerfile"
  grep -q '^FROM {BASE} AS base$' "$0.dockerfile" || exit 1
  exec {DOCKER} build --network host --file "$0.dockerfile" "$@"
fi
exec {DOCKER} "$@"
"""


class Engine(NamedTuple):
    """A running engine: what its client needs, and the address of the registry."""

    variables: dict[str, str]
    registry: str

    def docker(self, *arguments: str) -> str:
        """Return what a command printed; it must have succeeded."""
        done = subprocess.run([DOCKER, *arguments], check=False, capture_output=True, text=True,
                              env=dict(os.environ) | self.variables)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Return an engine with the base image, and a registry that is empty."""
    home = tmp_path_factory.mktemp("engine")
    here = subprocess.run([DOCKER, "info"], check=False, capture_output=True).returncode == 0
    # A socket's name may have 107 characters.
    short = Path(f"/tmp/engine-{os.getpid()}")
    short.mkdir()
    (home / "bin").mkdir()
    (home / "bin/docker").write_text(CLIENT, encoding="utf-8")
    (home / "bin/docker").chmod(0o755)
    socket, port = f"unix://{short}/docker.sock", free_port()
    config = f"""version: 0.1
storage: {{filesystem: {{rootdirectory: {home}/images}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
    (home / "registry.yml").write_text(config, encoding="utf-8")
    places = [f"--data-root={home}/data", f"--exec-root={short}/exec", f"--pidfile={short}/pid"]
    commands = [["docker-registry", "serve", str(home / "registry.yml")]]
    commands += [] if here else [["dockerd", "--host", socket, *places, *APART]]
    own = {"DOCKER_HOST": socket, "DOCKER_BUILDKIT": "1", "PATH": str(home / "bin")}
    found = Engine({} if here else own, f"127.0.0.1:{port}")
    with (home / "log").open("w") as log:
        processes = []
        try:
            processes += [subprocess.Popen(command, stdout=log, stderr=log) for command in commands]
            wait(found, home / "log")
            if not here:
                found.docker("import", str(base(home)), BASE)
            yield found
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(60)
            clear(home, short)


class Networked(NamedTuple):
    """An engine with networks: its client and what runs a program where the published ports are; what Compose adds."""

    docker: str
    front: tuple[str, ...]
    stand_ins: Path | None

    def take(self, engine: Engine, *images: str) -> None:
        """Bring images from the engine that built them, and those that stand in for what cannot be pulled."""
        if self.stand_ins is None:
            return
        folder = Path(tempfile.mkdtemp())
        shutil.copytree(self.stand_ins.parent, folder, dirs_exist_ok=True)
        shutil.copy(Path(sys.executable).parent / "rclone", folder)
        engine.docker("build", "--quiet", "--network", "host", "--tag", "stand-ins", str(folder))
        engine.docker("save", "--output", str(folder / "images"), "stand-ins", *images)
        subprocess.run([*self.docker.split(), "load", "--quiet", "--input", folder / "images"], check=True)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def networked(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Networked]:
    """Return the engine that runs already, or one of our own whose containers have networks."""
    if not engine.variables:
        yield Networked(DOCKER, (), None)
        return
    home, short, space = tmp_path_factory.mktemp("networked"), Path(f"/tmp/net-{os.getpid()}"), f"net-{os.getpid()}"
    short.mkdir()
    subprocess.run(["ip", "netns", "add", space], check=True)
    front = ("nsenter", f"--net=/run/netns/{space}")
    subprocess.run([*front, "ip", "link", "set", "lo", "up"], check=True)
    socket = f"unix://{short}/docker.sock"
    places = [f"--data-root={home}/data", f"--exec-root={short}/exec", f"--pidfile={short}/pid"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen([*front, "dockerd", "--host", socket, *places], stdout=log, stderr=log)
        try:
            wait(Engine({"DOCKER_HOST": socket}, ""), home / "log")
            yield Networked(f"{DOCKER} --host {socket}", front, STAND_INS)
        finally:
            process.terminate()
            process.wait(60)
            clear(home, short)
            subprocess.run(["ip", "netns", "delete", space], check=True)


def clear(*folders: Path) -> None:
    """Remove what an engine left in its folders, mounts first."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        if line.split()[1].startswith(tuple(f"{folder}/" for folder in folders)):
            subprocess.run(["umount", "--lazy", line.split()[1]], check=True)
    for folder in folders:
        shutil.rmtree(folder)


def wait(engine: Engine, log: Path) -> None:
    """Wait until the engine answers."""
    limit = time.monotonic() + 60
    command = [DOCKER, "info"]
    while subprocess.run(command, check=False, capture_output=True, env=dict(os.environ) | engine.variables).returncode:
        assert time.monotonic() < limit, log.read_text(encoding="utf-8")[-3000:]
        time.sleep(0.2)


def base(home: Path) -> Path:
    """Make what stands in for `python:3.11-slim`: Debian's own Python 3.11, with the certificates of this machine."""
    root, archive = home / "root", home / "base.tar"
    packages = "python3,python3-pip,python3-venv,ca-certificates"
    command = ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(root)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs/ca-certificates.crt")
    for name in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"):
        shutil.rmtree(root / name)  # none of it is in Debian's slim images
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    (root / "etc/pip.conf").write_text("[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n", encoding="utf-8")
    subprocess.run(["tar", "--create", "--file", str(archive), "--directory", str(root), "."], check=True)
    shutil.rmtree(root)
    return archive
