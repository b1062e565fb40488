"""The image on a real Docker engine: the pipeline's numbers, no rights, a changed model refused, drained at SIGTERM."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from baking import PROJECT, ROOT
from engine import Engine
from killing import until
from loading import Serving, Slow, known
from running import SLUG, command, copy_of, digest, run, set_param, works
from stores import Registry
from test_serving import EVERY

pytestmark = pytest.mark.slow
#: As `infra/deploy.py` runs a server: no right, nothing to write to but memory and its log.
CONFINED = runpy.run_path(str(ROOT / PROJECT / "infra/local/deploy.py"))["CONFINED"]
MOST = 750e6


class Image(NamedTuple):
    """A project whose champion's bundle is exported, and the engine that has its image."""

    project: Path
    engine: Engine
    tag: str

    def build(self, tag: str, *options: str) -> None:
        """Build an image of the project."""
        path = os.pathsep.join(filter(None, [self.engine.variables.get("PATH"), os.environ["PATH"]]))
        known = os.environ | self.engine.variables | {"PATH": path}
        command = ["docker", "build", "--quiet", "--tag", f"{self.tag}:{tag}", *options, "."]
        works(subprocess.run(command, check=False, capture_output=True, text=True, cwd=self.project, env=known))


class Container(NamedTuple):
    """A server in a container; it looks like one of a project to whoever asks it."""

    engine: Engine
    name: str
    server: Serving

    def until(self, holds: Callable[[], bool], seconds: float) -> None:
        """Wait until something holds."""
        assert until(holds, seconds), self.said()[-3000:]

    def said(self) -> str:
        """Return all that it printed."""
        command = ["docker", "logs", self.name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env=os.environ | self.engine.variables)  # fmt: skip
        return done.stdout

    def state(self) -> dict[str, Any]:
        """Return what the engine knows of it."""
        found: dict[str, Any] = json.loads(self.engine.docker("inspect", self.name))[0]["State"]
        return found


@pytest.fixture(scope="module")
def image(started: Path, tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Image]:
    """Return the image of a first champion; whatever was made of it is removed."""
    project = copy_of(started, tmp_path_factory.mktemp("image"))
    works(command(project, "export", "champion", "bundle"))
    made = Image(project, engine, f"image{uuid.uuid4().hex[:8]}")
    made.build("whole")
    yield made
    for one in engine.docker("image", "ls", "--quiet", made.tag).split():
        engine.docker("image", "rm", "--force", one)


@pytest.fixture
def begin(image: Image) -> Iterator[Callable[..., Container]]:
    """Return what starts a server; its container and its log are removed."""
    begun: list[str] = []

    def begin(tag: str, *options: str, arguments: tuple[str, ...] = ("--bundle", "bundle")) -> Container:
        begun.append(f"{image.tag}-{len(begun)}-{uuid.uuid4().hex[:4]}")
        server = Serving(image.project)
        place = ("--network", "host", "--env", f"PORT={server.port}", "--volume", f"{begun[-1]}:/app/predictions")
        image.engine.docker("run", "--detach", "--name", begun[-1], *CONFINED, *place, *options, f"{image.tag}:{tag}",
                            "serve", "--host", "127.0.0.1", *arguments)  # fmt: skip
        return Container(image.engine, begun[-1], server)

    yield begin
    for name in begun:
        image.engine.docker("rm", "--force", "--volumes", name)
        image.engine.docker("volume", "rm", "--force", name)


def ready(container: Container) -> Container:
    """Wait until the server answers."""
    container.until(lambda: container.server.get("/readyz")[0] == 200, 60)
    return container


def test_a_container_gives_the_pipelines_numbers_to_the_last_bit(
    image: Image, begin: Callable[..., Container], tmp_path: Path
) -> None:
    """Every test row over HTTP, and in a batch without a network; the smoke test says the same."""
    out = tmp_path / "out"
    out.mkdir(mode=0o777)
    out.chmod(0o777)
    shutil.copy(image.project / "data" / "test.parquet", tmp_path)
    (tmp_path / "test.parquet").chmod(0o644)
    places = ("--volume", f"{tmp_path}/test.parquet:/in/test.parquet:ro", "--volume", f"{out}:/out")
    image.engine.docker("run", "--rm", *CONFINED, "--network", "none", *places, f"{image.tag}:whole", "batch",
                        "/in/test.parquet", "/out/scored", "--bundle", "bundle")  # fmt: skip
    container = ready(begin("whole"))
    asked = run(image.project, "python", "-c", EVERY, str(container.server.port), str(out / "scored"))
    assert int(works(asked)) > 5000
    smoke = ("smoke", f"http://127.0.0.1:{container.server.port}", "--bundle", "bundle")
    told = image.engine.docker("run", "--rm", *CONFINED, "--network", "host", f"{image.tag}:whole", *smoke)
    assert "answers 64 golden rows" in told


def test_a_server_has_no_rights_and_nothing_to_write_to(image: Image, begin: Callable[..., Container]) -> None:
    """Nobody's user, without a capability; root could change no file there, nor could the server in a writable one."""
    container = ready(begin("whole"))

    def inside(script: str, *options: str) -> str:
        return image.engine.docker("exec", *options, container.name, "sh", "-c", script)

    assert inside("id --user") == "10001"
    assert inside("grep CapEff /proc/1/status").split()[1].strip("0") == ""
    for place in ("/app/new", "/app/bundle/model.skops", f"/app/{SLUG}/features.py", "/opt/venv/new"):
        assert inside(f"! touch {place} 2>&1", "--user", "0").endswith("Read-only file system"), place
        bare = ("run", "--rm", "--network", "none", "--entrypoint", "sh", f"{image.tag}:whole", "-c")
        assert image.engine.docker(*bare, f"! touch {place} 2>&1").endswith("Permission denied"), place
    assert inside("touch /app/predictions/one /tmp/one && echo fine") == "fine"


def test_the_image_holds_what_it_needs_and_no_more(image: Image) -> None:
    """Within its size; of the project the code, the parameters, the contract and the bundle."""
    size = int(image.engine.docker("image", "inspect", "--format", "{{.Size}}", f"{image.tag}:whole"))
    print(f"image: {size / 1e6:.0f} MB")
    assert 1e8 < size <= MOST
    run = ("run", "--rm", "--network", "none", "--entrypoint", "sh", f"{image.tag}:whole", "-c")
    held = image.engine.docker(*run, "ls --almost-all").split()
    assert sorted(held) == sorted(
        [".serve", "bundle", "params.yaml", "predictions", "reports", "schema.yaml", "scores", SLUG]
    )
    assert image.engine.docker(*run, "find . -name '*.pyc' | wc -l") == "0"


def test_whether_it_lives_is_seen(image: Image, begin: Callable[..., Container]) -> None:
    """The health check asks the server at the port that it was given; one that hangs is not healthy."""
    quick = ("--health-interval", "1s", "--health-retries", "2", "--health-start-period", "1s")
    container = begin("whole", *quick)
    container.until(lambda: container.state()["Health"]["Status"] == "healthy", 60)
    image.engine.docker("kill", "--signal", "STOP", container.name)
    container.until(lambda: container.state()["Health"]["Status"] == "unhealthy", 60)


def test_what_is_asked_when_it_is_told_to_end_is_answered_and_logged(
    image: Image, begin: Callable[..., Container]
) -> None:
    """`docker stop`: no new request, the old one to its end, the log on its volume."""
    rows = known(image.project)
    container = ready(begin("whole"))
    slow = Slow(container.server, rows)
    time.sleep(0.5)
    image.engine.docker("kill", "--signal", "TERM", container.name)
    container.until(lambda: container.server.get("/healthz")[0] == 0, 10)
    late = slow.end()
    assert (late.status, len(late.scores)) == (200, len(rows))
    container.until(lambda: not container.state()["Running"], 20)
    assert container.state()["ExitCode"] in (0, 128 + signal.SIGTERM)
    count = "import sys, pyarrow.dataset as d; print(d.dataset('/app/predictions').count_rows())"
    found = image.engine.docker("run", "--rm", "--network", "none", "--volume", f"{container.name}:/app/predictions",
                                "--entrypoint", "python", f"{image.tag}:whole", "-c", count)  # fmt: skip
    assert int(found) == len(rows)


@pytest.mark.parametrize("changed", ["model.skops", f"code/{SLUG}/features.py", "golden.parquet"])
def test_a_changed_model_is_refused_and_named(
    image: Image, begin: Callable[..., Container], tmp_path: Path, changed: str
) -> None:
    """A file of the bundle is not the one that was registered: it ends, and says in its last line why."""
    whole = (image.project / "bundle" / changed).read_bytes()
    (tmp_path / "changed").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if changed.endswith("t") else whole + b"\n#")
    file = f"FROM {image.tag}:whole\nCOPY --chmod=644 changed bundle/{changed}\n"
    (tmp_path / "Dockerfile").write_text(file, encoding="utf-8")
    image.engine.docker("build", "--quiet", "--tag", f"{image.tag}:changed", str(tmp_path))
    container = begin("changed")
    container.until(lambda: not container.state()["Running"], 60)
    assert container.state()["ExitCode"] not in (0, 137)
    last = container.said().splitlines()[-1]
    print(last)
    assert changed.rpartition("/")[2] in last or "digest" in last or "golden" in last
    assert "Traceback" not in container.said()


def test_without_a_bundle_it_follows_the_registry(
    image: Image, begin: Callable[..., Container], server: Registry, started: Path, tmp_path: Path
) -> None:
    """Promoted on this machine, answering from the container within a minute; then the next champion."""
    image.build("server", "--target", "server")
    held = ("run", "--rm", "--network", "none", "--entrypoint", "ls", f"{image.tag}:server")
    assert "bundle" not in image.engine.docker(*held).split()
    project = copy_of(started, tmp_path)
    shared = {"MLFLOW_TRACKING_URI": server.url}
    container = begin("server", "--env", f"MLFLOW_TRACKING_URI={server.url}", "--tmpfs", "/app/.serve:uid=10001",
                      arguments=())  # fmt: skip
    container.until(lambda: container.server.get("/healthz")[0] == 200, 60)
    assert container.server.get("/readyz")[0] == 503
    works(command(project, "promote", **shared))
    container.until(lambda: container.server.get("/readyz")[0] == 200, 60)
    assert container.server.digest() == digest(project)
    set_param(project, "train.arguments.max_iter", 60)
    works(run(project, "dvc", "repro"))
    works(command(project, "promote", "--reset", "a test", **shared))
    container.until(lambda: container.server.digest() == digest(project), 60)
