"""The stores, for real: MLflow on PostgreSQL and S3, DVC on S3, a folder elsewhere, servers that die."""

from __future__ import annotations

import json
import re
import shutil
import socket
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import Bake
from running import SLUG, champion_loads, command, copy_of, digest, forget, free_port, one_line, run, set_param, works
from stores import AWS, Registry, Server, Storage, healthy, objects


def clone_of(project: Path, folder: Path) -> Path:
    """Return a git clone with the original's environment, and nothing that is not in git."""
    folder.mkdir(parents=True)
    works(run(project, "git", "clone", "-q", str(project), str(folder / SLUG)))
    (folder / SLUG / ".venv").symlink_to(project / ".venv")
    return folder / SLUG


def test_one_variable_moves_the_registry_to_postgresql_and_s3(
    copy: Path, server: Registry, s3: Server, tmp_path: Path
) -> None:
    """Journal, register, promote, lineage, rollback by MLFLOW_TRACKING_URI alone; another clone sees the same."""
    shutil.rmtree(copy / ".mlflow")
    uri = {"MLFLOW_TRACKING_URI": server.url}
    first = digest(copy)
    works(command(copy, "promote", **uri))
    assert server.aliases() == {"champion": first, "challenger": first}
    set_param(copy, "train.arguments.max_iter", 80)
    works(run(copy, "dvc", "repro", **uri))
    second = digest(copy)
    journalled = {tag["value"] for one in server.runs() for tag in one["data"]["tags"] if tag["key"] == "digest"}
    assert {first, second} <= journalled
    assert works(command(copy, "register", **uri)).startswith("version 2: ")
    assert server.aliases() == {"champion": first, "challenger": second}
    works(command(copy, "promote", "--reset", "a test", **uri))
    assert server.aliases() == {"champion": second, "challenger": second, "previous": first}
    champion_loads(copy, copy, **uri)
    kept = objects(s3, "mlflow")
    models = {key.split("/")[2] for key in kept if re.search(r"/artifacts/model_\w+/model\.skops$", key)}
    assert {one["info"]["run_id"] for one in server.runs()} >= models
    assert len(models) >= 2
    here = {path.relative_to(copy).parts[0] for path in copy.rglob("*") if path.name in ("MLmodel", "mlflow.db")}
    assert here == set()
    works(command(copy, "rollback", **uri))
    assert server.aliases() == {"champion": first, "challenger": second, "previous": second}
    clone = clone_of(copy, tmp_path / "clone")
    facts = json.loads(works(command(clone, "lineage", "--json", **uri)))
    assert (facts["digest"], facts["version"]) == (first, "1")
    assert "/presigned/" not in server.log.read_text(errors="replace")  # the store may be out of a client's reach


def test_data_goes_to_s3_and_comes_back(copy: Path, s3: Server, tmp_path: Path) -> None:
    """An S3 remote by its endpoint: pushed, nothing left to push, and a fresh clone pulls the same bytes."""
    for arguments in (
        ("add", "--force", "--default", "storage", "s3://data/dvc"),
        ("modify", "storage", "endpointurl", s3.url),
    ):
        works(run(copy, "dvc", "remote", *arguments))
    works(run(copy, "git", "commit", "-qam", "Use the remote"))
    assert "new:" in works(run(copy, "dvc", "status", "-c", **AWS))
    works(run(copy, "dvc", "push", **AWS))
    assert "in sync" in works(run(copy, "dvc", "status", "-c", **AWS))
    assert len(objects(s3, "data")) >= 8
    clone = clone_of(copy, tmp_path / "clone")
    assert not (clone / "model/model.skops").exists()
    works(run(clone, "dvc", "pull", **AWS))
    assert "up to date" in works(run(clone, "dvc", "status"))
    for name in ("data/train.parquet", "data/predictions.parquet", "model/model.skops"):
        assert (clone / name).read_bytes() == (copy / name).read_bytes()


@pytest.mark.parametrize("cloud", ["gcp", "azure"])
def test_data_and_models_go_to_a_clouds_own_storage(
    cloud: str, copy: Path, bake: Bake, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """By the lock as it is: DVC as infra/ configures it, MLflow's files straight to where infra/ has them."""
    storage: Storage = request.getfixturevalue(cloud)
    infra = bake(cloud=cloud) / "infra"

    def filled(text: str) -> str:
        return re.sub(r"\$\{[^}]+\}", storage.name, textwrap.dedent(text))

    remote = (infra / "outputs.tf").read_text(encoding="utf-8").split("<<-EOT\n")[1].split("  EOT")[0]
    (copy / ".dvc/config").write_text(filled(remote), encoding="utf-8")
    works(run(copy, "git", "commit", "-qam", "Use the remote"))
    works(run(copy, "dvc", "push", **storage.variables))
    assert "in sync" in works(run(copy, "dvc", "status", "-c", **storage.variables))
    clone = clone_of(copy, tmp_path / "clone")
    works(run(clone, "dvc", "pull", **storage.variables))
    assert "up to date" in works(run(clone, "dvc", "status"))
    assert (clone / "model/model.skops").read_bytes() == (copy / "model/model.skops").read_bytes()
    (root,) = re.findall(r'"?((?:gs|wasbs)://[^"]+)"', (infra / "mlflow.tf").read_text(encoding="utf-8"))
    port = free_port()
    where = [f"--backend-store-uri=sqlite:///{tmp_path}/mlflow.db", f"--default-artifact-root={filled(root)}"]
    order = [str(copy / ".venv/bin/mlflow"), "server", f"--port={port}", "--workers=1", "--no-serve-artifacts", *where]
    registry = Registry(order, port, tmp_path / "log", variables=storage.variables, up=healthy)
    registry.start()
    try:
        uri = {"MLFLOW_TRACKING_URI": registry.url, **storage.variables}
        works(command(copy, "promote", **uri))
        assert registry.aliases() == {"champion": digest(copy), "challenger": digest(copy)}
        assert {one["info"]["artifact_uri"].partition(":")[0] for one in registry.runs()} == {root.partition(":")[0]}
        champion_loads(clone, copy, **uri)
    finally:
        registry.end()


def test_the_champion_loads_after_a_move_and_from_a_clone(copy: Path, started: Path, tmp_path: Path) -> None:
    """Moved, or cloned and given the store's folder: nothing looks for the old place, which is gone."""
    forget(copy)
    moved = tmp_path / "moved, and renamed" / SLUG
    moved.parent.mkdir()
    copy.rename(moved)
    champion_loads(moved, started)
    clone = clone_of(moved, tmp_path / "clone")
    (moved / ".mlflow").rename(clone / ".mlflow")
    champion_loads(clone, started)


def test_a_dead_server_costs_a_pipeline_one_line(changed: tuple[Path, str]) -> None:
    """The training ran, was not journalled, and says so once."""
    said = [line for line in changed[1].splitlines() if "MLflow" in line]
    assert len(said) == 1
    assert said[0].startswith("warning: this training is not journalled: ")


@pytest.mark.parametrize("listens", [False, True])
def test_a_server_that_does_not_answer_is_one_line_in_seconds(copy: Path, listens: bool) -> None:
    """Whether it refuses the connection or takes it and says nothing: at most ten seconds, and no password shown."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if not listens:
            listener.close()
        for arguments in (("lineage",), ("register",), ("promote",)):
            began = time.monotonic()
            said = one_line(command(copy, *arguments, MLFLOW_TRACKING_URI=f"http://me:secret@127.0.0.1:{port}"))
            assert time.monotonic() - began < 10
            assert f"MLflow store http://127.0.0.1:{port} cannot be used: " in said
            assert ("timed out" if listens else "refused") in said
            assert "secret" not in said


def test_a_server_whose_database_stopped_is_one_line(copy: Path, server: Registry, postgres: Server) -> None:
    """MLflow lives, PostgreSQL does not; when it is back, nothing had been registered and everything works."""
    postgres.end()
    try:
        for arguments in (("lineage",), ("promote",)):
            began = time.monotonic()
            assert "cannot be used" in one_line(command(copy, *arguments, MLFLOW_TRACKING_URI=server.url))
            assert time.monotonic() - began < 15
    finally:
        postgres.start()
    assert server.aliases() == {}
    assert server.digests() == []


@pytest.mark.parametrize("share", [0.9, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.3, 0.6))])
def test_a_server_killed_during_a_promotion_leaves_old_or_new(
    copy: Path, changed: tuple[Path, str], server: Registry, tmp_path: Path, share: float
) -> None:
    """Killed between two requests: one line, no half version, and promoting again ends right."""
    uri = {"MLFLOW_TRACKING_URI": server.url}
    before = server.requests()
    works(command(copy, "promote", **uri))
    challenger = copy_of(changed[0], tmp_path / "challenger")
    old, new = digest(copy), digest(challenger)
    sent = server.requests()
    over, moment = threading.Event(), sent + int(share * (sent - before))  # of what the first took: it is no shorter

    def kill() -> None:
        while server.requests() < moment:
            assert not over.wait(0.01), "the promotion ended before the server did"
        server.end()

    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill)
        done = command(challenger, "promote", "--reset", "a test", **uri)
        over.set()
        killed.result()
    assert "cannot be used" in one_line(done)
    server.start()
    assert server.aliases()["champion"] in (old, new)
    assert server.digests() in ([old], [old, new])
    works(command(challenger, "promote", "--reset", "a test", **uri))
    assert server.aliases() == {"champion": new, "challenger": new, "previous": old}
    assert server.digests() == [old, new]
    champion_loads(challenger, challenger, **uri)
