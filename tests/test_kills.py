"""SIGKILL at any moment, and two of everything at once: what is left is right, or the next run makes it so."""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from killing import ORPHAN, STORE, Small, kill_after, repro, rows, until
from running import SLUG, copy_of, free_port, run, said, start, works
from stores import answers

KILLS = [5, pytest.param(50, marks=pytest.mark.slow)]
STAGES = ("ingest", "validate", "split", "pretrain", "train", "evaluate", "posttrain")
TWO_VERSIONS = f"""
from {SLUG}.registry import tracking
client = tracking.client()
client.create_registered_model(tracking.NAME)
for alias in ("previous", "champion"):
    version = client.create_model_version(tracking.NAME, source="nowhere", tags={{"digest": alias}})
    client.set_registered_model_alias(tracking.NAME, alias, version.version)
"""
#: Makes a program say that it is there, and wait until it may go on.
HELD = """
def hold():
    import os, pathlib, time
    pathlib.Path("there").touch()
    while "HELD" in os.environ and not pathlib.Path("go").exists():
        time.sleep(0.05)
"""
STAGES_HOLD = {f"{SLUG}/workspace.py": HELD + "clear = hold"}
GATES_HOLD = {"tests/pretrain/test_row_accounting.py": HELD + "hold()"}


@pytest.fixture(scope="module")
def prepared(started: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A small project after an undisturbed run."""
    folder = tmp_path_factory.mktemp("kills").resolve()
    made = Small(copy_of(started, folder), folder / "kept")
    made.prepare()
    return made


@pytest.fixture
def small(prepared: Small) -> Iterator[Small]:
    """That project without its training; whatever still runs in it afterwards is ended."""
    prepared.reset("train")
    yield prepared
    for number in prepared.at_work():
        os.kill(number, signal.SIGKILL)


@pytest.mark.parametrize("kills", KILLS)
@pytest.mark.parametrize("kind", ["dvc", "stage", "group"])
def test_after_a_kill_the_next_run_ends_as_if_there_had_been_none(small: Small, kind: str, kills: int) -> None:
    """Whatever was killed, and whenever: the same bytes, one run in MLflow, no leftovers, no orphan."""
    dice, seen = random.Random(f"{kind} {kills}"), Counter[str]()
    for number in range(kills):
        stage = STAGES[(number + dice.randrange(2)) % len(STAGES)]
        small.reset(stage)
        seen.update(small.kill(kind, dice))
        seen.update(torn=repro(small.root))
        small.must_be_as_it_was(trainings=stage == "train")
    print(f"{kind}: {kills} kills, of which {dict(seen)}")
    assert seen["hits"] >= 0.4 * kills
    assert seen["at_work"] >= 0.2 * kills
    assert seen["torn"] <= 0.6 * kills  # one in twelve, when seen
    assert seen["late"] <= 0.2 * kills


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
@pytest.mark.parametrize(
    ("more", "stage", "killed"), [(STAGES_HOLD, "train", "dvc"), (GATES_HOLD, "pretrain", "stage")]
)
def test_what_was_started_ends_with_who_started_it(
    small: Small, more: dict[str, str], stage: str, killed: str, shell: str
) -> None:
    """A stage with its dvc, also past a shell that stays between; a gate's tests with their stage."""
    small.reset(stage)
    small.extend(more)
    dvc = start(small.root, "dvc", "repro", HELD="yes", SHELL=shell)
    assert until((small.root / "there").exists), said(dvc)
    assert len(small.at_work()) == (1 if killed == "dvc" else 2)
    os.kill(dvc.pid if killed == "dvc" else small.at_work(f" -m {SLUG} ")[0], signal.SIGKILL)
    assert until(lambda: not small.at_work(), ORPHAN)
    dvc.wait()
    small.undo()
    assert not repro(small.root)
    small.must_be_as_it_was(trainings=stage == "train")


def test_a_stage_waits_for_one_that_was_started_by_hand(small: Small) -> None:
    """It says whom it waits for, and both end right."""
    small.extend(STAGES_HOLD)
    by_hand = start(small.root, "python", "-m", SLUG, "train", HELD="yes")
    assert until((small.root / "there").exists), said(by_hand)
    dvc = start(small.root, "dvc", "repro")
    line = f"train: waiting for train (process {by_hand.pid}), which is at work in this folder\n"
    assert until(lambda: line in said(dvc)), said(dvc)
    (small.root / "go").touch()
    assert (by_hand.wait(), dvc.wait()) == (0, 0), said(by_hand) + said(dvc)
    assert said(by_hand) == ""
    small.undo()
    small.must_be_as_it_was(trainings=1)


def test_of_two_runs_at_once_one_says_that_the_other_is_there(small: Small) -> None:
    """DVC's own line; or the second comes so late that it finds all done."""
    both = [start(small.root, "dvc", "repro") for _ in range(2)]
    codes = sorted(process.wait() for process in both)
    assert codes in ([0, 0], [0, 255])
    refused = [said(process) for process in both if process.returncode]
    assert all(text.count("ERROR: ") == 1 and re.search(r"PID|another DVC process", text) for text in refused), refused
    assert not repro(small.root)
    small.must_be_as_it_was(trainings=1)


def test_three_first_commands_at_once_make_one_store_and_one_champion(small: Small) -> None:
    """On a store that is not there yet; whoever reads before a champion is made says so in one line."""
    small.reset(None)
    shutil.rmtree(small.root / STORE)
    words = (["promote"], ["promote"], ["register"], ["lineage"])
    begun = [start(small.root, "python", "-m", SLUG, *word) for word in words]
    codes = [process.wait() for process in begun]
    assert codes[:3] == [0, 0, 0], [said(process) for process in begun]
    assert codes[3] == 0 or said(begun[3]).startswith("lineage: no version has the alias champion")
    promoted = sorted(said(process).partition(":")[0] for process in begun[:2])
    assert promoted == ["promoted", "unchanged"]
    assert rows(small.database, "SELECT version FROM model_versions") == [(1,)]
    assert rows(small.database, "SELECT alias, version FROM registered_model_aliases ORDER BY alias") == [
        ("challenger", 1), ("champion", 1)]  # fmt: skip
    small.must_be_as_it_was(trainings=1)


@pytest.mark.slow
def test_two_clones_that_share_a_server_have_one_champion(small: Small, tmp_path: Path) -> None:
    """Two folders have two locks: who comes second finds a champion that it was not compared with, and says so."""
    small.reset(None)
    clone = copy_of(small.root, tmp_path)
    port = str(free_port())
    address, database = f"http://127.0.0.1:{port}", tmp_path / "server.db"
    stores = ("--backend-store-uri", f"sqlite:///{database}", "--artifacts-destination", str(tmp_path / "artifacts"))
    server = start(small.root, "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", "1", *stores)
    try:
        assert until(lambda: answers(f"{address}/health")), said(server)
        shared = {"MLFLOW_TRACKING_URI": address, "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
        both = [start(root, "python", "-m", SLUG, "promote", **shared) for root in (small.root, clone)]
        codes = [process.wait() for process in both]
        told = [said(process) for process in both]
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    print(f"shared server: {told}")
    assert sorted(codes) in ([0, 0], [0, 3]), told
    assert all("by now, no longer none: run the command again" in text for text in told if "refused" in text)
    [champion] = rows(database, "SELECT version FROM registered_model_aliases WHERE alias = 'champion'")
    assert champion in rows(database, "SELECT version FROM model_versions")


@pytest.mark.parametrize("kills", [3, *KILLS[1:]])
def test_a_killed_promotion_leaves_the_old_champion_or_the_new(small: Small, kills: int) -> None:
    """And the one before it where a rollback finds it; promoting again ends as if there had been no kill."""
    small.reset(None)
    works(run(small.root, "python", "-c", TWO_VERSIONS))
    store = small.kept / "two"
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(small.root / STORE, store)
    aliases = "SELECT alias, version FROM registered_model_aliases WHERE alias != 'challenger'"
    promote = ("python", "-m", SLUG, "promote", "--reset", "a test")
    dice, hits, seconds, ends = random.Random(kills), 0, math.inf, Counter[str]()
    for number in range(-2, kills):
        shutil.rmtree(small.root / STORE)
        shutil.copytree(store, small.root / STORE)
        began = time.monotonic()
        process = start(small.root, *promote)
        if number >= 0:  # two are left alone, and the quicker one is timed: the first may read everything from the disk
            hits += kill_after(process, seconds * dice.uniform(0.4, 1))
            ends[str(dict(rows(small.database, aliases)))] += 1
            assert dict(rows(small.database, aliases)) in ALLOWED
            process = start(small.root, *promote)
        assert process.wait() == 0, said(process)
        seconds = min(seconds, time.monotonic() - began) if number < 0 else seconds
        assert dict(rows(small.database, aliases)) == ALLOWED[-1]
        assert len(rows(small.database, "SELECT version FROM model_versions")) == 3
        assert json.loads((small.root / "reports/promotion.json").read_text())["challenger"]["version"] == "3"
    print(f"promote: {hits} of {kills} were killed, leaving {dict(ends)}")
    assert hits >= 0.4 * kills


#: What a kill of the promotion of version 3 may leave, and at last what must come of it.
ALLOWED = ({"champion": 2, "previous": 1}, {"champion": 3, "previous": 1}, {"champion": 3, "previous": 2})
