"""The MLflow store: SQLite in `.mlflow` by default, any server by MLFLOW_TRACKING_URI.

Nothing that a stage writes depends on it. A training that really ran is journalled here; if the store cannot
be reached, that is one line of warning, and `register` completes what is missing.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sqlite3
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import StoreError as StoreError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

NAME = Path(__file__).resolve().parents[1].name
#: Set before MLflow is imported, unless the user did: no logs, no progress bars, no telemetry, seconds not minutes.
SETTINGS = {
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # a server answers only when its own store has taken the whole artefact
    # Files pass through the server, which would send us to its store instead: out of our reach, a minute for each.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
}
#: Seconds in which a server must say anything at all.
PATIENCE = 3
#: Who logs in to an address.
LOGIN = re.compile(r"(?<=://)[^/@\s]*@")


def project_root() -> Path:
    """The folder whose store is used: this one, or for `dvc exp run --temp` and `--queue` the one they copy."""
    here = Path.cwd().resolve()
    parts = here.as_posix().split("/.dvc/tmp/exps/")
    return Path(parts[0]) if len(parts) > 1 else here


def store() -> Path:
    """The folder of the default store."""
    return project_root() / ".mlflow"


def uri(database: Path) -> str:
    """The SQLAlchemy address of a SQLite file; it decodes percent signs and cuts at a question mark."""
    return "sqlite:///" + str(database).replace("%", "%25").replace("?", "%3F")


def client() -> MlflowClient:
    """A client of the store, which is created on first use. Raises StoreError when it cannot be reached."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    server = os.environ.get("MLFLOW_TRACKING_URI")
    try:
        if server:
            knock(server)
        from mlflow.tracking import MlflowClient

        if server:
            return MlflowClient(server)
        if not importlib.util.find_spec("sqlalchemy"):
            raise StoreError("set MLFLOW_TRACKING_URI: a store of files needs more libraries than serving has")
        database = store() / "mlflow.db"
        create(database)
        refuse_locked(database)
        found = MlflowClient(uri(database))
        if os.access(database, os.W_OK) and os.access(database.parent, os.W_OK):
            settle(found, database)
        return found
    except (StoreError, ModuleNotFoundError):
        raise
    except Exception as error:  # SQLAlchemy, alembic, drivers and MLflow each raise their own kind
        raise unreachable(error) from error


@contextmanager
def session() -> Iterator[MlflowClient]:
    """A client whose store may also fail later: whatever it raises becomes StoreError."""
    found = client()
    from mlflow.exceptions import MlflowException

    failures: tuple[type[Exception], ...] = (MlflowException,)
    with suppress(ModuleNotFoundError):  # where a server is asked over HTTP, as in the serving image
        from sqlalchemy.exc import SQLAlchemyError

        failures += (SQLAlchemyError,)
    try:
        yield found
    except failures as error:
        raise unreachable(error) from error


def knock(server: str) -> None:
    """Raise unless a server that speaks HTTP says anything in seconds, or a database lets us in; other stores pass.

    MLflow itself tries a database for minutes, and its timeout must leave time for large artefacts.
    """
    if server.startswith(("postgresql", "mysql")):
        from sqlalchemy import create_engine

        create_engine(server, connect_args={"connect_timeout": PATIENCE}).connect().close()
    if not server.startswith("http"):
        return
    try:
        urllib.request.urlopen(LOGIN.sub("", server), timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        pass  # that it wants a password, say, is an answer
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLError):  # MLflow has settings of its own for certificates
            raise OSError(str(error.reason)) from error


def unreachable(error: Exception) -> StoreError:
    """The line for a store that does not answer, or cannot take what it is given; without a password."""
    server = os.environ.get("MLFLOW_TRACKING_URI")
    driver = re.search(r"\([\w.]+Error\) (.+)", str(error))  # as SQLAlchemy quotes it, not always in the first line
    first = driver[1] if driver else str(error).partition("\n")[0]
    said = first.rpartition("Caused by ")[2][:160] or type(error).__name__
    hint = "start it, or unset MLFLOW_TRACKING_URI" if server else "check the folder and the disk"
    line = f"MLflow store {server or store() / 'mlflow.db'} cannot be used: {said}; {hint}"
    return StoreError(LOGIN.sub("", line))


def create(database: Path) -> None:
    """Create the SQLite store once, beside its place and under a lock.

    Two first openings break its migrations, and so does a kill in the middle of one: the file appears whole.
    """
    if database.exists():
        return
    from filelock import FileLock
    from mlflow.tracking import MlflowClient

    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock", timeout=120):
        if database.exists():
            return
        partial = database.with_name("partial.db")
        for leftover in (partial, partial.with_name("partial.db-journal")):
            leftover.unlink(missing_ok=True)
        MlflowClient(uri(partial)).search_experiments(max_results=1)
        os.replace(partial, database)


def refuse_locked(database: Path) -> None:
    """Raise StoreError when another process holds the store: MLflow itself would wait 20 s for each statement."""
    try:
        address = f"{database.as_uri()}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=3, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise StoreError(f"MLflow store {database} cannot be written: {error}; end the process that holds it,"
                         " or check the folder's permissions") from error  # fmt: skip


def settle(found: MlflowClient, database: Path) -> None:
    """Point the store's artefact paths to where the store lies now: MLflow keeps them absolute."""
    here = (database.parent / "artifacts").as_uri()
    experiment = found.get_experiment_by_name(NAME)
    if experiment is None or experiment.artifact_location == here:
        return
    old = experiment.artifact_location
    with closing(sqlite3.connect(database, timeout=3)) as connection, connection:
        connection.execute("update experiments set artifact_location = ? where artifact_location = ?", (here, old))
        connection.execute(
            "update runs set artifact_uri = ? || substr(artifact_uri, ?) where substr(artifact_uri, 1, ?) = ?",
            (here, len(old) + 1, len(old) + 1, old + "/"),
        )


def download(found: MlflowClient, run_id: str, name: str, folder: str) -> Path:
    """A copy of a run's artefact folder `name` below `folder`. Raises what the artefact store raises.

    Those of the default store are taken from where it lies: on a read-only disk its paths may be another place's.
    """
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return Path(found.download_artifacts(run_id, name, folder))
    return Path(shutil.copytree(store() / "artifacts" / run_id / "artifacts" / name, Path(folder, name)))


def experiment_id(found: MlflowClient) -> str:
    """The project's experiment, created when missing."""
    from mlflow.exceptions import MlflowException

    experiment = found.get_experiment_by_name(NAME)
    if experiment is not None:
        return str(experiment.experiment_id)
    here = None if os.environ.get("MLFLOW_TRACKING_URI") else (store() / "artifacts").as_uri()
    try:
        return str(found.create_experiment(NAME, artifact_location=here))
    except MlflowException as error:
        experiment = found.get_experiment_by_name(NAME)  # another process was first
        if experiment is None:
            raise unreachable(error) from error
        return str(experiment.experiment_id)
