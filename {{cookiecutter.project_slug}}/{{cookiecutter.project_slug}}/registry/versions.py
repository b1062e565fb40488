"""Versions of the model in MLflow's registry: put one in, find one, read one, move an alias."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import config, record, schema
from ..errors import GateClosed, InputError
from ..gates import verdict
from . import artefact, bundles, journal, lineage, tracking

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

#: Seconds to wait for another command of this project.
WAIT = 60
#: Tags of versions: whom one is about to replace as champion, and that one was taken back.
REPLACES, ROLLED_BACK = "replaces", "rolled_back"


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """One registration or promotion of this project at a time on this machine. Raises InputError after a wait."""
    from filelock import FileLock, Timeout

    lock = FileLock(str(tracking.store() / "registry.lock"), timeout=WAIT)
    try:
        tracking.store().mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise tracking.StoreError("another register, promote or rollback is running: wait for it to end") from None
    except OSError as error:
        raise tracking.StoreError(f"cannot write {tracking.store()}: {error.strerror}; check the folder") from error
    try:
        yield
    finally:
        lock.release()


def aliases(client: MlflowClient) -> dict[str, str]:
    """Version number by alias; empty while nothing is registered."""
    from mlflow.exceptions import MlflowException

    try:
        return {name: str(version) for name, version in client.get_registered_model(tracking.NAME).aliases.items()}
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def point(client: MlflowClient, alias: str, number: str) -> None:
    """Let an alias name a version.

    Where it names none yet and another clone does the same within that moment, the server inserts it twice and refuses
    the second (so seen): asked once more it finds the first, and the later one counts, as it always does.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.set_registered_model_alias(tracking.NAME, alias, number)
    except MlflowException as error:
        if "unique constraint" not in str(error).lower():
            raise
        client.set_registered_model_alias(tracking.NAME, alias, number)


def by_alias(client: MlflowClient, alias: str) -> ModelVersion | None:
    """The version an alias points to, or None."""
    number = aliases(client).get(alias)
    return client.get_model_version(tracking.NAME, number) if number else None


def by_number(client: MlflowClient, number: str) -> ModelVersion | None:
    """The version with this number, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version(tracking.NAME, number)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def by_digest(client: MlflowClient, digest: str, recipe: str) -> ModelVersion | None:
    """The version that holds this model as this recipe made it, or None.

    The same model under another contract, or with a threshold tuned to another cost, decides otherwise.
    """
    # Without a space: a query with one is signed wrongly for AWS (requests-auth-aws-sigv4 0.7), and refused.
    found = client.search_model_versions(f"name='{tracking.NAME}'")
    same = [one for one in found if (one.tags.get("digest"), one.tags.get("recipe")) == (digest, recipe)]
    return min(same, key=lambda version: int(version.version), default=None)


def register(client: MlflowClient, params: config.Params) -> ModelVersion:
    """The version of this workspace's model, created if there is none, with `challenger` pointing to it.

    Raises GateClosed when a verdict does not stand or lineage would be incomplete.
    """
    for stage in verdict.JUDGED:
        verdict.require(stage, params)
    lineage.require_lock()
    training = record.read_json(verdict.TRAINING)
    version = by_digest(client, training["digest"], training["recipe"])
    if version is None:
        lineage.require_committed()
        version = create(client, params, training)
    point(client, "challenger", str(version.version))
    return version


def create(client: MlflowClient, params: config.Params, training: dict[str, Any]) -> ModelVersion:
    """A new version: its bundle first, its row in the registry last, so that nothing half-made can be found."""
    import pandas as pd
    from mlflow.exceptions import MlflowException

    contract = schema.load()
    train = record.read_parquet(verdict.TRAIN)
    latest = str(train[contract.time].max()) if contract.time else ""
    facts = {**lineage.workspace(params), "task": contract.task, "train_until": latest}
    keys = pd.DataFrame({"key": bundles.row_keys(train, contract)})
    run_id = journal.training_run(client, params, training)
    with tempfile.TemporaryDirectory() as folder:
        try:
            bundles.write(Path(folder), facts, keys)
        except FileNotFoundError as error:
            raise InputError(f"cannot bundle {error.filename}: {error.strerror}; restore it with git") from error
        except OSError as error:  # copytree raises one that holds a list of others
            reason = error.strerror or error.args[0][0][-1]
            raise tracking.StoreError(f"cannot bundle the model: {reason}; check the disk of {folder}") from error
        features = Path(folder, "code", verdict.PACKAGE.name, "features.py")
        if artefact.digest(Path(folder, "model.skops"), features) != facts["digest"]:
            raise GateClosed(["lock"], "the model was changed while it was registered: run the command again")
        facts["bundle_sha256"] = bundles.content(Path(folder))
        place = f"model_{facts['bundle_sha256'][:12]}"  # where no other bundle, half sent before a kill, can lie
        try:
            client.log_artifacts(run_id, folder, place)
        except Exception as error:  # each artefact store raises its own kind
            raise tracking.unreachable(error) from error
    with contextlib.suppress(MlflowException):  # it is there already
        client.create_registered_model(tracking.NAME)
    return client.create_model_version(
        tracking.NAME, source=f"runs:/{run_id}/{place}", run_id=run_id, tags={k: str(v) for k, v in facts.items()}
    )


@contextlib.contextmanager
def bundle(client: MlflowClient, version: ModelVersion) -> Iterator[Path]:
    """The version's files, digest checked, in a folder that lives as long as the context."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            place = str(version.source).rpartition("/")[2]
            path = tracking.download(client, str(version.run_id), place, folder)
        except Exception as error:  # each artefact store raises its own kind
            raise tracking.unreachable(error) from error
        if not (path / "model.skops").is_file():
            raise InputError(f"version {version.version} has no model file in the store: restore the store's files")
        if bundles.content(path) != version.tags["bundle_sha256"]:
            reason = f"version {version.version} is not what was registered (its files were changed)"
            raise GateClosed(["digest"], f"{reason}: restore the store's files, or roll back")
        for compiled in path.rglob("*.pyc"):  # which nobody hashed, and Python would run
            compiled.unlink()
        yield path


def export(client: MlflowClient, name: str, folder: Path) -> None:
    """Copy the bundle of the version that an alias or a number names to `folder`, which must not be there yet.

    Raises InputError, and StoreError when it cannot be written.
    """
    if folder.exists():
        raise InputError(f"{folder} is there already: give another folder")
    with bundle(client, named(client, name)) as path, record.replacing(folder) as partial:
        shutil.copytree(path, partial, ignore=shutil.ignore_patterns("__pycache__"))


def crown(client: MlflowClient, number: str, replaced: str | None) -> None:
    """Make a version champion in place of the one it was compared with, if any, which becomes `previous`.

    Aliases move one at a time. Moving `champion` is what counts: what must follow is written down before, and completed
    by `settle` when a kill comes between. MLflow has no compare-and-set, so the champion is read once more right
    before; should two clones that share a server both move it within that moment, the later one is champion.
    Raises InputError, and moves nothing, when the champion is another one by now.
    """
    if replaced is not None:
        client.set_model_version_tag(tracking.NAME, number, REPLACES, replaced)
    now = aliases(client).get("champion")
    if now != replaced:
        names = [f"version {name}" if name else "none" for name in (now, replaced)]
        raise InputError(f"the champion is {names[0]} by now, no longer {names[1]}: run the command again")
    point(client, "champion", number)
    settle(client)


def settle(client: MlflowClient) -> dict[str, str]:
    """Complete what a killed `crown` left undone; version number by alias."""
    found = aliases(client)
    if "champion" in found:
        tags = client.get_model_version(tracking.NAME, found["champion"]).tags
        if REPLACES in tags:
            point(client, "previous", tags[REPLACES])
            for name in (ROLLED_BACK, REPLACES):  # the last step is to forget that there were any
                client.delete_model_version_tag(tracking.NAME, found["champion"], name)
    return aliases(client)


def rollback(client: MlflowClient) -> tuple[str, str]:
    """Swap champion and previous, and mark the loser, which `promote` refuses from then on; both new numbers.

    Raises InputError when there is no previous champion.
    """
    champion = by_alias(client, "champion")
    replaced = by_number(client, champion.tags.get(REPLACES, "0")) if champion else None
    found = settle(client)
    if replaced and ROLLED_BACK in replaced.tags:  # a killed rollback, which is complete now
        return found["champion"], found["previous"]
    if found.get("previous") in (None, found.get("champion")) or "champion" not in found:
        raise InputError("there is no previous champion to roll back to: promote a second version first")
    client.set_model_version_tag(tracking.NAME, found["champion"], ROLLED_BACK, "true")
    crown(client, found["previous"], found["champion"])
    return found["previous"], found["champion"]


def named(client: MlflowClient, name: str) -> ModelVersion:
    """The version that an alias or a number names. Raises InputError when there is none."""
    version = by_number(client, name) if name.isdecimal() else by_alias(client, name)
    if version is None:
        what = "version" if name.isdecimal() else "version has the alias"
        raise InputError(f"no {what} {name}: run `promote` (or `register` for challenger)")
    return version


def lineage_of(client: MlflowClient, name: str) -> dict[str, Any]:
    """Version, run, and every fact that was recorded with the version that an alias or a number names.

    Raises InputError when there is none.
    """
    version = named(client, name)
    here = [alias for alias, number in sorted(aliases(client).items()) if number == str(version.version)]
    return {"model": tracking.NAME, "version": str(version.version), "aliases": ", ".join(here) or "none",
            "run_id": version.run_id, **dict(sorted(version.tags.items()))}  # fmt: skip
