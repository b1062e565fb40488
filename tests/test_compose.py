"""All parts on one machine: what compose.yaml says, and the same parts really up on an engine with networks."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from acting import SCRIPTS
from engine import Engine, Networked
from killing import until
from loading import known, scores
from running import SLUG, copy_of, digest, inside, run, set_param, works

COMPOSE = SCRIPTS / "docker-compose"
#: Here Grafana cannot be had; a batch is started by who wants one.
UP = ("database", "store", "mlflow", "serve", "prometheus")


def passwords(project: Path) -> dict[str, str]:
    """Return what `.env` holds."""
    lines = (project / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def nox(project: Path, session: str, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a session of a project, with the programs of a folder in front."""
    front = {"PATH": os.pathsep.join([str(path), inside(project)["PATH"]])} if path else {}
    variables = inside(project) | front
    return subprocess.run([sys.executable, "-m", "nox", "-s", session, "--", *arguments], cwd=project, env=variables,
                          check=False, capture_output=True, encoding="utf-8")  # fmt: skip


@pytest.fixture
def double(tmp_path: Path) -> Path:
    """Return a folder with a `docker` that writes down what it was told."""
    folder = tmp_path / "double"
    folder.mkdir()
    (folder / "docker").write_text(f'#!/bin/sh\necho "$*" >> {folder}/told\n', encoding="utf-8")
    (folder / "docker").chmod(0o755)
    return folder


@pytest.fixture
def baked(bake: Callable[..., Path], tmp_path: Path) -> Path:
    """Return a project of its own."""
    return bake(tmp_path / "baked")


def composed(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask Compose about a project; no engine is needed for that."""
    return subprocess.run([COMPOSE, *arguments], cwd=project, env=inside(project), check=False, capture_output=True,
                          encoding="utf-8")  # fmt: skip


def test_passwords_are_made_once_and_for_nobody_else(baked: Path, double: Path) -> None:
    """`nox -s up` writes what is missing, keeps what is there, and starts all; no two are equal."""
    (baked / ".env").write_text("STORE_KEY=mine", encoding="utf-8")
    works(nox(baked, "up", path=double))
    made = passwords(baked)
    assert made["STORE_KEY"] == "mine"
    asked = set(re.findall(r"\$\{(\w+)", (baked / "compose.yaml").read_text(encoding="utf-8")))
    assert set(made) == asked
    assert len(set(made.values())) == len(made) == 6
    assert all(len(made[name]) >= 32 for name in asked - {"STORE_KEY"})
    works(nox(baked, "up", "serve", path=double))
    assert passwords(baked) == made
    works(nox(baked, "down", path=double))
    told = (double / "told").read_text(encoding="utf-8").splitlines()
    assert told == ["compose up --build --detach --wait", "compose up --build --detach --wait serve", "compose down"]
    works(run(baked, "git", "init", "-q"))
    assert run(baked, "git", "check-ignore", ".env").returncode == 0


def test_a_new_file_of_passwords_is_the_owners_alone(baked: Path, double: Path) -> None:
    """Nobody else on the machine may read them."""
    works(nox(baked, "up", path=double))
    assert stat.S_IMODE((baked / ".env").stat().st_mode) == 0o600


def test_without_a_password_nothing_starts(baked: Path, double: Path) -> None:
    """No default stands in for one that is missing, and the way out is said."""
    works(nox(baked, "up", path=double))
    whole = passwords(baked)
    assert composed(baked, "config", "--quiet").returncode == 0
    for name in whole:
        rest = "".join(f"{one}={value}\n" for one, value in whole.items() if one != name)
        (baked / ".env").write_text(rest, encoding="utf-8")
        refused = composed(baked, "config", "--quiet")
        assert refused.returncode != 0, name
        assert "nox -s up" in refused.stderr


def services(project: Path, double: Path) -> dict[str, Any]:
    """Return each service as Compose understands it, those of the profile `jobs` too."""
    works(nox(project, "up", path=double))
    found = composed(project, "--profile", "jobs", "config", "--format", "json")
    assert (found.returncode, found.stderr) == (0, "")
    understood: dict[str, Any] = json.loads(found.stdout)["services"]
    return understood


def test_every_part_is_confined_and_seen_from_here_alone(baked: Path, double: Path) -> None:
    """No right, one file system to write to at most, a fixed image, a health check, an end that is waited for."""
    found = services(baked, double)
    assert set(found) == {*UP, "batch", "monitor", "grafana"}
    ports = [port for one in found.values() for port in one.get("ports", ())]
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert len({port["published"] for port in ports}) == len(ports) == 5
    for name, one in found.items():
        assert (one["cap_drop"], one["security_opt"]) == (["ALL"], ["no-new-privileges:true"]), name
        assert not {"cap_add", "privileged", "network_mode", "pid", "devices"} & set(one), name
        assert one.get("read_only", False) == (name != "prometheus"), name
        assert "build" in one or re.fullmatch(r"[\w/-]+:[\w.-]+@sha256:[0-9a-f]{64}", one["image"]), name
        assert "healthcheck" in one or one["build"]["target"] == "server", name  # its Dockerfile has one
        assert {other["condition"] for other in one.get("depends_on", {}).values()} <= {"service_healthy"}, name
        for volume in one["volumes"] if name != "mlflow" else ():
            assert volume["type"] == "volume" or volume["read_only"], name
    assert set(found["database"]["networks"]) == {"records"}
    assert {name for name, one in found.items() if "records" in one["networks"]} == {"database", "store", "mlflow"}
    raw = yaml.safe_load((baked / "compose.yaml").read_text(encoding="utf-8"))
    assert raw["networks"]["records"] == {"internal": True}


def test_grafana_finds_dashboard_and_figures(baked: Path, double: Path) -> None:
    """What its two files name is what Compose mounts, and who listens."""
    found = services(baked, double)
    mounts = {one["target"]: Path(one["source"]) for one in found["grafana"]["volumes"] if one["type"] == "bind"}
    for kind in ("dashboards", "datasources"):
        assert mounts[f"/etc/grafana/provisioning/{kind}"] == baked / "monitoring" / "grafana" / kind
    provided = yaml.safe_load((baked / "monitoring/grafana/dashboards/project.yml").read_text(encoding="utf-8"))
    (place,) = [one["options"]["path"] for one in provided["providers"]]
    assert mounts[f"{place}/dashboard.json"] == baked / "monitoring" / "dashboard.json"
    source = yaml.safe_load((baked / "monitoring/grafana/datasources/prometheus.yml").read_text(encoding="utf-8"))
    (one,) = source["datasources"]
    (port,) = found["prometheus"]["ports"]
    assert (one["type"], one["url"]) == ("prometheus", f"http://prometheus:{port['target']}")


def test_no_secret_is_written_down(baked: Path) -> None:
    """Whatever is named like one comes from .env."""
    text = (baked / "compose.yaml").read_text(encoding="utf-8")
    secret = re.findall(r"^ +\w*(?:PASSWORD|_KEY|SECRET|TOKEN)\w*: (.*)$", text, re.MULTILINE)
    assert len(secret) == 8
    assert all(value.strip("'\"").startswith("${") for value in secret), secret


class Stack(NamedTuple):
    """All that could be had of compose.yaml, up."""

    project: Path
    networked: Networked
    bin: Path

    def docker(self, *arguments: str) -> str:
        """Return what Docker's client printed, with Compose in it; it must have succeeded."""
        return works(self.on_host("docker", *arguments)).strip()

    def on_host(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project where the published ports are."""
        path = os.pathsep.join([str(self.bin), inside(self.project)["PATH"]])
        known = inside(self.project) | {"PATH": path, "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"} | variables
        return subprocess.run([*self.networked.front, *command], cwd=self.project, env=known, check=False,
                              capture_output=True, encoding="utf-8")  # fmt: skip

    def ours(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one of the project's own commands there."""
        return self.on_host("python", "-m", SLUG, *arguments, **variables)

    def get(self, url: str, **options: str) -> str:
        """Return the body that a page answers, after its status."""
        token = passwords(self.project)["SERVE_TOKEN"]
        more = [part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", value)]
        return self.on_host("curl", "--silent", "--write-out", "\n%{http_code}", "--max-time", "10", "--header",
                            f"Authorization: Bearer {token}", *more, url).stdout  # fmt: skip

    def serves(self) -> str:
        """Return the digest of the model that answers; empty where there is none."""
        body, _, status = self.get("http://127.0.0.1:8000/version").rpartition("\n")
        return str(json.loads(body)["digest"]) if status == "200" else ""

    def predictions(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what the server answers to rows; it must answer."""
        (self.project / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
        body, _, status = self.get("http://127.0.0.1:8000/predict", data="@rows.json",
                                   header="Content-Type: application/json").rpartition("\n")  # fmt: skip
        assert status == "200", body
        found: list[dict[str, Any]] = json.loads(body)["predictions"]
        return found

    def up(self) -> None:
        """Start what can be had, as a user would."""
        works(nox(self.project, "up", *UP, path=self.bin))


@pytest.fixture(scope="module")
def stack(started: Path, tmp_path_factory: pytest.TempPathFactory, engine: Engine, networked: Networked
          ) -> Iterator[Stack]:  # fmt: skip
    """Return the stack of a project whose first champion is not in it yet; images, volumes and networks are removed."""
    folder = tmp_path_factory.mktemp("stack")
    project = copy_of(started, folder)
    path = os.pathsep.join([engine.variables.get("PATH", ""), os.environ["PATH"]])
    images = (("", "server", "requirements-serve.lock"), ("-mlflow", "libraries", "requirements.lock"))
    for tag, target, lock in images:
        build = ["docker", "build", "--quiet", "--tag", f"{SLUG}{tag}", "--target", target, "--build-arg",
                 f"LOCK={lock}", "."]  # fmt: skip
        works(subprocess.run(build, check=False, capture_output=True, text=True, cwd=project,
                             env=os.environ | engine.variables | {"PATH": path}))  # fmt: skip
    networked.take(engine, *(f"{SLUG}{tag}" for tag, _, _ in images))
    (folder / "bin").mkdir()
    files = "--file compose.yaml" + (f" --file {networked.stand_ins}" if networked.stand_ins else "")
    front, host = " ".join(networked.front), networked.docker.partition("--host ")[2]
    client = f"""#!/bin/sh
{f"export DOCKER_HOST={host}" if host else ""}
if [ "$1" = compose ]; then
  shift
  exec {front} {COMPOSE} {files} "$@"
fi
exec {networked.docker} "$@"
"""
    (folder / "bin/docker").write_text(client, encoding="utf-8")
    (folder / "bin/docker").chmod(0o755)
    made = Stack(project, networked, folder / "bin")
    try:
        made.up()
        yield made
    finally:
        print(made.docker("compose", "logs", "--tail", "20"))
        nox(project, "down", "--volumes", "--timeout", "5", path=made.bin)


@pytest.mark.slow
def test_a_model_promoted_on_the_laptop_answers_from_the_container(stack: Stack) -> None:
    """Nobody is champion at first; then the container has it, and its numbers are the pipeline's."""
    assert json.loads(stack.get("http://127.0.0.1:8000/readyz").rpartition("\n")[0])["ready"] is False
    works(stack.ours("promote"))
    assert until(lambda: stack.serves() == digest(stack.project), 60)
    assert [one["score"] for one in stack.predictions(known(stack.project))] == scores(stack.project)
    refused = stack.on_host("curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}",
                            "http://127.0.0.1:8000/version")  # fmt: skip
    assert refused.stdout == "401"


@pytest.mark.slow
def test_nothing_listens_but_on_loopback(stack: Stack) -> None:
    """Every port that the engine published, by what the kernel says."""
    found = stack.on_host("ss", "--tcp", "--listening", "--numeric", "--no-header", "--processes").stdout
    published = [line.split()[3] for line in found.splitlines() if "docker-proxy" in line]
    assert sorted(published) == [f"127.0.0.1:{port}" for port in (5000, 8000, 9000, 9090)]


@pytest.mark.slow
def test_a_batch_is_a_job_of_the_same_image(stack: Stack) -> None:
    """The test rows, into the volume `scores`, by the champion of the registry."""
    if not stack.serves():
        works(stack.ours("promote"))
    stack.docker("compose", "run", "--rm", "batch")
    parts = "pathlib.Path('/app/scores/test').rglob('*.parquet')"
    count = f"import pathlib, pyarrow.parquet as p; print(sum(p.read_metadata(part).num_rows for part in {parts}))"
    found = stack.docker("run", "--rm", "--volume", f"{SLUG}_scores:/app/scores", "--entrypoint", "python", SLUG,
                         "-c", count)  # fmt: skip
    there = run(stack.project, "python", "-c", "import pandas as p; print(len(p.read_parquet('data/test.parquet')))")
    assert int(found) == int(works(there)) > 5000


@pytest.mark.slow
def test_the_monitor_looks_where_the_server_writes(stack: Stack) -> None:
    """A job of the same image: its log, labels from the source; what it decides is in the server's figures at once."""
    if not stack.serves():
        works(stack.ours("promote"))
    assert until(lambda: stack.serves() == digest(stack.project), 60)
    rows = known(stack.project)
    assert len(stack.predictions(rows)) == len(rows)
    time.sleep(3)  # serve.log.seconds, and what a part takes to be written
    newest = dt.date.fromisoformat(max(row["scheduled"] for row in rows)[:10])
    later = str(newest + dt.timedelta(days=8))
    said = stack.docker("compose", "run", "--rm", "monitor", "monitor", "--until", later)
    assert said.splitlines()[-1].startswith("watch: "), said
    report = json.loads(stack.docker("compose", "exec", "serve", "cat", "reports/monitor.json"))
    assert report["champion"]["digest"] == stack.serves()
    assert report["labels"]["arrived"] == report["labels"]["due"] > 0
    figures = stack.get("http://127.0.0.1:8000/metrics").splitlines()
    assert 'monitor_decision{decision="watch"} 1.0' in figures


@pytest.mark.slow
def test_prometheus_sees_the_server_and_has_the_rules(stack: Stack) -> None:
    """With the server's token; nothing is watched that is not there."""

    def healthy() -> bool:
        body = stack.get("http://127.0.0.1:9090/api/v1/targets").rpartition("\n")[0]
        return [one["health"] for one in json.loads(body)["data"]["activeTargets"]] == ["up"]

    assert until(healthy, 60)
    body = stack.get("http://127.0.0.1:9090/api/v1/rules").rpartition("\n")[0]
    rules = [rule["name"] for group in json.loads(body)["data"]["groups"] for rule in group["rules"]]
    written = yaml.safe_load((stack.project / "monitoring/alerts.yml").read_text(encoding="utf-8"))
    assert sorted(rules) == sorted(rule["alert"] for group in written["groups"] for rule in group["rules"])


@pytest.mark.slow
def test_a_killed_database_is_back_and_the_next_champion_arrives(stack: Stack) -> None:
    """The server answers on meanwhile; nothing that was registered is lost."""
    if not stack.serves():
        works(stack.ours("promote"))
    assert until(lambda: bool(stack.serves()), 60)
    first = stack.serves()
    name = stack.docker("compose", "ps", "--quiet", "database")
    os.kill(int(stack.docker("inspect", "--format", "{{.State.Pid}}", name)), signal.SIGKILL)
    assert stack.serves() == first
    assert until(lambda: stack.docker("inspect", "--format", "{{.State.Health.Status}}", name) == "healthy", 60)
    assert int(stack.docker("inspect", "--format", "{{.RestartCount}}", name)) == 1
    set_param(stack.project, "train.arguments.max_iter", 80)
    works(run(stack.project, "dvc", "repro"))
    second = digest(stack.project)
    assert second != first
    works(stack.ours("promote", "--reset", "a test"))
    assert until(lambda: stack.serves() == second, 60)


@pytest.mark.slow
def test_what_is_in_the_volumes_survives_the_containers(stack: Stack) -> None:
    """`nox -s down`, `nox -s up`: the same champion, and what it answered before."""
    if not stack.serves():
        works(stack.ours("promote"))
    assert until(lambda: bool(stack.serves()), 60)
    before = stack.serves()
    works(nox(stack.project, "down", path=stack.bin))
    assert stack.docker("ps", "--all", "--quiet") == ""
    began = time.monotonic()
    stack.up()
    print(f"up again in {time.monotonic() - began:.0f} s")
    assert until(lambda: stack.serves() == before, 60)
    assert json.loads(works(stack.ours("lineage", "champion", "--json")))["digest"] == before
