"""The prediction log: what is written, what a kill or a full disk may cost, and how rows are found and deleted."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import hmac
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from {{ cookiecutter.project_slug }} import __main__ as command
from {{ cookiecutter.project_slug }} import config, record, schema
from {{ cookiecutter.project_slug }}.errors import InputError, StoreError
from {{ cookiecutter.project_slug }}.serving import log, parts

DIGEST = "ab" * 32
ROW: dict[str, Any] = {"when": dt.datetime(2024, 1, 2, 3), "place": "a", "size": 1.5, "open": True}
LONG_AGO, SOON = dt.datetime(2020, 1, 1), dt.datetime(2100, 1, 1)


def settings(folder: Path, **changes: Any) -> config.Log:
    """A log in `folder` that writes 20 times a second."""
    return config.Log(**{"folder": folder, "seconds": 0.05, "keep_days": 90, "private": {}, **changes})


@pytest.fixture
def contract(contract_of):
    """A contract whose inputs are those of ROW."""
    return contract_of(who={"role": "group"})


@pytest.fixture
def log_in(tmp_path, contract):
    """A function that makes a log below `tmp_path`; it is not started."""
    return lambda **changes: log.PredictionLog(settings(tmp_path / "log", **changes), contract)


@contextlib.contextmanager
def running(made: log.PredictionLog):
    """A log whose threads run; all it took is written at the end."""
    made.start()
    try:
        yield made
    finally:
        made.close()


def say(made: log.PredictionLog, contract: schema.Schema, *ids: str, digest: str = DIGEST, **values: Any) -> None:
    """Log one answer with a row per id."""
    made.add(digest, contract, ids, [{**ROW, **values}] * len(ids), np.linspace(0.25, 0.75, len(ids)))


def everything(folder: Path, **more: Any) -> pd.DataFrame:
    """All rows of the log."""
    return pd.concat(parts.read(folder, LONG_AGO, SOON, **more), ignore_index=True)


def ids_of(folder: Path) -> list[str]:
    """The ids that a reader sees, sorted; one that stands twice is there twice."""
    return sorted(one for frame in parts.read(folder, LONG_AGO, SOON) for one in frame[parts.ID])


def part(folder: Path, number: int, *ids: str, hour: str = "2024-05-01 10", series: str = "s-d", **more: Any) -> Path:
    """Write a part by hand: rows of one hour."""
    moment = dt.datetime.strptime(hour, "%Y-%m-%d %H").replace(tzinfo=dt.UTC)
    times = pa.array([moment] * len(ids), pa.timestamp("us", "UTC"))
    path = parts.named(folder, moment, series, number)
    parts.write(pa.table({parts.ID: pa.array(ids, pa.large_string()), parts.TIME: times, **more}), path)
    return path


def tidy(folder: Path, now: str = "2024-05-01 12", keep_days: int = 90) -> None:
    """Tidy as if it were another time."""
    parts.tidy(folder, keep_days, dt.datetime.strptime(now, "%Y-%m-%d %H").replace(tzinfo=dt.UTC))


def files(folder: Path) -> list[str]:
    """Names of all whole files."""
    return sorted(path.name for path in folder.rglob("*.parquet"))


def test_a_row_holds_id_time_model_inputs_and_answer(tmp_path, contract, log_in):
    """The types are those of the pipeline's own tables, whatever the rows are made of."""
    before = dt.datetime.now(dt.UTC)
    with running(log_in()) as made:
        say(made, contract, "1", "2")
        say(made, contract, "3", size=None, place="b", open=False)
        say(made, contract, "4", size=2**60 + 1)
    assert (made.waiting, made.dropped, made.failures) == (0, 0, 0)
    path = next((tmp_path / "log").rglob("*.parquet"))
    kinds = parquet.read_schema(path)
    given = [("when", pa.timestamp("us")), ("place", pa.large_string()), ("size", pa.float64()), ("open", pa.bool_())]
    ours = [(parts.ID, pa.large_string()), (parts.TIME, pa.timestamp("us", "UTC")), (parts.DIGEST, pa.large_string())]
    assert list(zip(kinds.names, kinds.types, strict=True)) == [*ours, *given, ("predicted", pa.float64())]
    found = everything(tmp_path / "log")
    assert found[parts.ID].tolist() == ["1", "2", "3", "4"]
    assert found["predicted"].tolist() == [0.25, 0.75, 0.25, 0.25]
    assert found["size"].tolist()[:2] == [1.5, 1.5]
    assert pd.isna(found["size"][2])
    assert found["size"][3] == float(2**60)
    assert found["place"].tolist() == ["a", "a", "b", "a"]
    assert set(found["when"]) == {pd.Timestamp(ROW["when"])}
    assert set(found[parts.DIGEST]) == {DIGEST}
    assert found[parts.TIME].between(before, dt.datetime.now(dt.UTC)).all()
    assert path.parent.parts[-2:] == (found[parts.TIME][0].strftime("%Y-%m-%d"), found[parts.TIME][0].strftime("%H"))


def test_every_class_has_its_score(tmp_path, contract_of):
    contract = contract_of("multiclass")
    with running(log.PredictionLog(settings(tmp_path), contract)) as made:
        made.add(DIGEST, contract, ["1"], [ROW], np.array([[0.1, 0.2, 0.7]]))
    row = everything(tmp_path).iloc[0]
    assert [row[f"predicted.{k}"] for k in range(3)] == [0.1, 0.2, 0.7]


def test_private_inputs_are_left_out_or_hashed(tmp_path, contract, log_in, monkeypatch):
    """A hash is that of the value's text, the same for 1 and 1.0, and null stays null."""
    monkeypatch.setenv("LOG_KEY", "secret")
    private = {"place": "drop", "size": "hash", "when": "hash"}
    with running(log_in(private=private)) as made:
        for one, size in (("1", 1), ("2", 1.0), ("3", None)):
            say(made, contract, one, size=size)
    found = everything(tmp_path / "log")
    assert "place" not in found
    expected = hmac.new(b"secret", b"1", hashlib.sha256).hexdigest()[:32]
    assert found["size"].tolist()[:2] == [expected, expected]
    assert pd.isna(found["size"][2])
    when = hmac.new(b"secret", b"2024-01-02 03:00:00.000000", hashlib.sha256).hexdigest()[:32]
    assert set(found["when"]) == {when}


def test_what_cannot_be_kept_private_is_refused_at_the_start(tmp_path, contract_of, log_in, monkeypatch):
    monkeypatch.delenv("LOG_KEY", raising=False)
    with pytest.raises(InputError, match="environment variable LOG_KEY; set it"):
        log_in(private={"place": "hash"})
    with pytest.raises(InputError, match="delay is no input of schema.yaml; mend its name"):
        log_in(private={"delay": "drop"})
    with pytest.raises(InputError, match="a column predicted of its own: rename it"):
        log.PredictionLog(settings(tmp_path), contract_of(predicted={"type": "float"}))


def test_each_model_has_its_own_files_and_columns(tmp_path, contract, contract_of, log_in):
    """Two models, one with a column more, and a window that ends between two answers."""
    wider = contract_of(extra={"type": "float"})
    with running(log_in()) as made:
        say(made, contract, "1")
        time.sleep(0.01)
        middle = dt.datetime.now(dt.UTC)
        say(made, wider, "2", digest="cd" * 32, extra=3.0)
    folder = tmp_path / "log"
    assert {name.split("-")[1] for name in files(folder)} == {"ab" * 6, "cd" * 6}
    frames = {frame[parts.ID][0]: list(frame) for frame in parts.read(folder, LONG_AGO, SOON)}
    assert ("extra" in frames["1"], "extra" in frames["2"]) == (False, True)
    narrow = everything(folder, columns=[parts.ID, "extra"])
    assert sorted(narrow) == ["extra", parts.ID, parts.TIME]
    early, late = parts.read(folder, LONG_AGO, middle), parts.read(folder, middle.replace(tzinfo=None), SOON)
    assert [frame[parts.ID].tolist() for frame in (*early, *late)] == [["1"], ["2"]]


def test_an_answer_is_taken_in_microseconds(contract, log_in):
    """The median of many; a thousand times as long would be felt by every request."""
    made = log_in()
    rows, ids, scores, spent = [ROW], ["1"], np.array([0.5]), []
    for _ in range(5000):
        began = time.perf_counter()
        made.add(DIGEST, contract, ids, rows, scores)
        spent.append(time.perf_counter() - began)
    assert made.waiting == 5000
    assert np.median(spent) < 50e-6


def test_what_does_not_fit_its_contract_is_counted_and_the_rest_written(tmp_path, contract, log_in, caplog):
    """The server's own log says that, and no value of a row."""
    with running(log_in()) as made:
        say(made, contract, "1", "2", digest="cd" * 32, size="a secret")
        say(made, contract, "3")
    assert (made.dropped, made.waiting) == (2, 0)
    assert ids_of(tmp_path / "log") == ["3"]
    assert "do not fit the contract of cdcdcdcdcdcd: ValueError" in caplog.text
    assert "a secret" not in caplog.text


@pytest.fixture
def disk(monkeypatch):
    """A disk that is full as long as `full` says so, half-way through a file."""
    state = {"full": True}
    whole = parquet.write_table

    def write(rows: pa.Table, path: Path, **more: Any) -> None:
        if state["full"]:
            path.write_bytes(b"PAR1")
            raise OSError(28, "No space left on device")
        whole(rows, path, **more)

    monkeypatch.setattr(parquet, "write_table", write)
    return state


def until(true: Any, seconds: float = 10.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_rows_wait_for_a_full_disk_in_a_bounded_buffer(tmp_path, contract, log_in, disk, monkeypatch):
    """The first rows are kept, what comes later is counted, and nothing half-written is left."""
    monkeypatch.setattr(log, "ROWS", 3)
    with running(log_in()) as made:
        say(made, contract, "1", "2")
        until(lambda: made.failures > 1)
        say(made, contract, "3")
        say(made, contract, "4", "5")
        assert (made.waiting, made.dropped) == (3, 2)
        assert list(tmp_path.rglob(".*.partial")) == []
        disk["full"] = False
        until(lambda: made.waiting == 0)
        say(made, contract, "6")
    assert ids_of(tmp_path / "log") == ["1", "2", "3", "6"]


def test_rows_that_wait_may_not_be_large_either(contract, log_in, disk, monkeypatch):
    monkeypatch.setattr(log, "BYTES", 1000)
    with running(log_in()) as made:
        say(made, contract, "1", place="x" * 2000)
        until(lambda: made.failures)
        until(lambda: made._full)
        say(made, contract, "2")
        assert (made.waiting, made.dropped) == (1, 1)
        disk["full"] = False
        until(lambda: not made._full)
        say(made, contract, "3")
        assert made.dropped == 1


def test_what_a_full_disk_never_took_is_said_at_the_end(contract, log_in, disk, caplog):
    with running(log_in()) as made:
        say(made, contract, "1")
    assert made.waiting == 1
    assert "1 predictions could not be written" in caplog.text


def test_a_file_in_the_folders_place_stops_no_answer(tmp_path, contract, log_in):
    (tmp_path / "log").touch()
    with running(log_in()) as made:
        say(made, contract, "1")
        until(lambda: made.failures)
        (tmp_path / "log").unlink()
        until(lambda: not made.waiting)
    assert ids_of(tmp_path / "log") == ["1"]


#: A server that logs a row a millisecond and says of each, at once, that it did.
SERVER = """
import sys, time
import numpy as np
from PACKAGE import config, schema
from PACKAGE.serving import log

contract = schema.load()
made = log.PredictionLog(config.Log(folder="log", seconds=0.1, keep_days=9, private=dict()), contract)
made.start()
for i in range(100_000):
    name = sys.argv[1] + "/%06d" % i
    made.add("ab" * 32, contract, [name], [dict(place="a")], np.array([0.5]))
    print(time.time(), name, flush=True)
    time.sleep(0.001)
""".replace("PACKAGE", command.PACKAGE.name)


def killed_server(root: Path, name: str, seconds: float) -> list[tuple[float, str]]:
    """Start a server, kill it after its first part and some seconds; when it logged which id."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    environment["PYTHONPATH"] = str(command.PACKAGE.parent)
    line = [sys.executable, "-c", SERVER, name]
    with (root / f"{name}.txt").open("wb") as out:
        server = subprocess.Popen(line, cwd=root, stdout=out, env=environment)
        until(lambda: any(one.startswith(f"{name}/") for one in ids_of(root / "log")), 60)
        time.sleep(seconds)
        server.send_signal(signal.SIGKILL)
        server.wait()
    whole, _, _ = (root / f"{name}.txt").read_text().rpartition("\n")  # a kill may cut the last line
    return [(float(at), one) for at, one in (line.split() for line in whole.splitlines())]


def test_a_killed_server_loses_its_last_moment_and_servers_share_a_folder(tmp_path, project):
    """Whatever the kill interrupts, each file is whole, no row stands twice, and none is lost but the newest."""
    servers = {f"server{n}": 0.02 + 0.03 * n for n in range(4)}
    said: dict[str, list[tuple[float, str]]] = {}
    pairs = [list(servers)[:2], list(servers)[2:]]
    for pair in pairs:  # two at a time, on one folder
        threads = [
            threading.Thread(target=lambda n=name: said.update({n: killed_server(project.root, n, servers[n])}))
            for name in pair
        ]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    logged = Counter(ids_of(project.root / "log"))
    assert set(said) == set(servers)
    assert set(logged.values()) == {1}
    for lines in said.values():
        lost = [at for at, one in lines if one not in logged]
        assert len(lost) < len(lines)
        # `seconds` is 0.1; a machine with other work may let a thread wait.
        assert all(at > lines[-1][0] - 2.0 for at in lost)


def test_a_finished_hour_becomes_one_file_a_series(tmp_path):
    """Files of the running hour stay; the parts go when readers had their time; late parts are merged, too."""
    for number in (1, 2, 3):
        part(tmp_path, number, f"a{number}")
        part(tmp_path, number, f"b{number}", series="t-d")
    part(tmp_path, 4, "a4", hour="2024-05-01 12")
    part(tmp_path, 5, "a5", hour="2024-05-01 12")
    expected = ids_of(tmp_path)
    tidy(tmp_path)
    assert {"s-d-00000001-00000003.parquet", "t-d-00000001-00000003.parquet"} < set(files(tmp_path))
    assert ids_of(tmp_path) == expected == ["a1", "a2", "a3", "a4", "a5", "b1", "b2", "b3"]
    assert len(files(tmp_path)) == 10
    long_ago = time.time() - parts.GRACE - 1
    [os.utime(path, (long_ago, long_ago)) for path in tmp_path.rglob("*-00000003.parquet")]
    part(tmp_path, 6, "late")
    tidy(tmp_path)
    last = ["s-d-00000001-00000003.parquet", "s-d-00000001-00000006.parquet", "s-d-00000006-00000006.parquet"]
    assert files(tmp_path / "2024-05-01" / "10") == [*last, "t-d-00000001-00000003.parquet"]
    assert len(files(tmp_path / "2024-05-01" / "12")) == 2
    assert ids_of(tmp_path) == sorted([*expected, "late"])


def test_a_merged_file_holds_what_its_parts_held_in_row_groups_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "ROW_GROUP", 4)
    part(tmp_path, 1, "1", "2", "3", "4", "5", size=[1, 2, 3, 4, 5])
    part(tmp_path, 2, "6", size=[0.5])
    part(tmp_path, 3, "7", new=["x"])
    tidy(tmp_path)
    merged = tmp_path / "2024-05-01/10/s-d-00000001-00000003.parquet"
    found = parquet.read_table(merged).to_pydict()
    assert found[parts.ID] == list("1234567")
    assert found["size"] == [1, 2, 3, 4, 5, 0.5, None]
    assert found["new"] == [None] * 6 + ["x"]
    assert parquet.read_metadata(merged).num_row_groups == 2


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def killing(whole: Any, nth: int, after: bool) -> Any:
    """A step that is killed when it is taken the nth time: before it does anything, or when it is done."""
    calls = itertools.count(1)

    def step(*given: Any, **more: Any) -> None:
        due = next(calls) == nth
        if due and not after:
            raise Killed
        whole(*given, **more)
        if due:
            raise Killed

    return step


STEPS = {"write_table": parquet.ParquetWriter, "replace": os, "unlink": Path}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_merge_killed_at_any_step_shows_every_row_once(tmp_path, monkeypatch, step, after):
    """There is a merged file whose parts may go, and a late part: the kill comes at each call of a step."""
    killed, expected = 0, [str(number) for number in range(1, 7)]
    for nth in range(1, 9):
        folder = tmp_path / str(nth)
        for number in range(1, 6):
            part(folder, number, str(number))
        tidy(folder)
        os.utime(next(folder.rglob("*-00000001-00000005.parquet")), (0, 0))
        part(folder, 6, "6")
        with monkeypatch.context() as patch:
            patch.setattr(STEPS[step], step, killing(getattr(STEPS[step], step), nth, after))
            try:
                tidy(folder)
            except Killed:
                killed += 1
        assert ids_of(folder) == expected, nth
        tidy(folder)
        assert ids_of(folder) == expected, nth
        assert len(parts.listed(next(folder.glob("*/*")))[0]) == 1
    assert killed == {"write_table": 1, "replace": 1, "unlink": 6}[step]


def test_a_reader_of_a_merging_folder_sees_every_row_once(tmp_path):
    """Again and again, while parts come, are merged, and the merged ones deleted."""
    stop, seen = threading.Event(), []
    part(tmp_path, 1, "1")

    def merging() -> None:
        number = 1
        while not stop.is_set():
            number += 1
            part(tmp_path, number, str(number))
            tidy(tmp_path)

    thread = threading.Thread(target=merging)
    thread.start()
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            seen.append([int(one) for one in ids_of(tmp_path)])
    finally:
        stop.set()
        thread.join()
    assert len(seen) > 3
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in seen)
    assert len(seen[-1]) > len(seen[0])


def test_a_part_that_was_listed_too_late_is_not_taken_for_merged(tmp_path, monkeypatch):
    """A folder that is listed while two files come may show the second alone."""
    hidden = part(tmp_path, 2, "2")
    part(tmp_path, 1, "1")
    late = part(tmp_path, 3, "3")
    held = late.read_bytes()
    late.unlink()
    listing, asked = Path.glob, []

    def glob(self: Path, pattern: str) -> Any:
        found = list(listing(self, pattern))
        if pattern == parts.FILES:
            asked.append(self)
            if len(asked) == 2:  # clear lists once, merge twice: both come while it lists first
                late.write_bytes(held)
                return [path for path in found if path != hidden]
        return found

    monkeypatch.setattr(Path, "glob", glob)
    tidy(tmp_path)
    monkeypatch.undo()
    assert ids_of(tmp_path) == ["1", "2", "3"]


def test_a_series_that_cannot_be_merged_is_left_and_said(tmp_path, caplog):
    part(tmp_path, 1, "1", size=["text"])
    part(tmp_path, 2, "2", size=[ROW["when"]])
    part(tmp_path, 1, "3", hour="2024-05-01 11")
    part(tmp_path, 2, "4", hour="2024-05-01 11")
    tidy(tmp_path)
    assert "10 is not merged" in caplog.text
    assert ids_of(tmp_path) == ["1", "2", "3", "4"]
    assert len(files(tmp_path)) == 5


def test_a_merge_ends_when_its_server_does(tmp_path, caplog):
    part(tmp_path, 1, "1")
    part(tmp_path, 2, "2")
    now = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
    for answers, said in (([True], False), ([False, True], True)):
        parts.tidy(tmp_path, 90, now, iter(answers).__next__)
        assert len(files(tmp_path)) == 2
        assert ("left for another time" in caplog.text) == said
    assert list(tmp_path.rglob(".*.partial")) == []


def test_old_days_go_and_only_they(tmp_path):
    for day in ("2024-04-01", "2024-04-02", "2024-04-03"):
        part(tmp_path, 1, day, hour=f"{day} 10")
        part(tmp_path, 2, day, hour=f"{day} 11")
    (tmp_path / "not-a-day!/xx").mkdir(parents=True)
    (tmp_path / "2024-99-99/10").mkdir(parents=True)
    tidy(tmp_path, now="2024-04-05 00", keep_days=3)
    assert sorted(set(ids_of(tmp_path))) == ["2024-04-02", "2024-04-03"]
    assert not (tmp_path / "2024-04-01").exists()
    assert (tmp_path / "2024-99-99/10").is_dir()


def test_a_server_tidies_at_its_start_and_says_when_it_cannot(tmp_path, contract, log_in, caplog):
    folder = tmp_path / "log"
    part(folder, 1, "old", hour="2001-01-01 10")
    with parts.exclusive(folder, 0), running(log_in()):
        until(lambda: "not tidied this hour" in caplog.text)
    assert ids_of(folder) == []  # before the window of the test, and still there
    assert len(files(folder)) == 1
    with running(log_in()):
        until(lambda: not (folder / "2001-01-01").exists())


def test_abandoned_temporary_files_go_and_fresh_ones_stay(tmp_path):
    hour = part(tmp_path, 1, "1").parent
    old, fresh = hour / ".s-d-00000007-00000007.parquet.9.partial", hour / ".s-d-00000008-00000008.parquet.9.partial"
    old.write_bytes(b"PAR1")
    fresh.write_bytes(b"PAR1")
    os.utime(old, (0, 0))
    assert ids_of(tmp_path) == ["1"]
    tidy(tmp_path)
    assert (old.exists(), fresh.exists()) == (False, True)


def test_damaged_and_vanished_files_are_said_never_passed_over(tmp_path):
    path = part(tmp_path, 1, "1")
    part(tmp_path, 2, "2")
    reading = parts.read(tmp_path, LONG_AGO, SOON)
    assert next(reading)[parts.ID].tolist() == ["1"]
    (path.parent / "s-d-00000002-00000002.parquet").unlink()
    with pytest.raises(InputError, match="deleted while the prediction log was read: read it again"):
        list(reading)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="00000001.parquet is no readable part"):
        ids_of(tmp_path)


@pytest.fixture
def at_once(monkeypatch):
    """No wait for rows that a server may still hold."""
    monkeypatch.setattr(parts, "SPARE", 0.0)


@pytest.mark.usefixtures("at_once")
def test_forgotten_rows_are_in_no_file_any_more(tmp_path):
    """Not in merged files, nor in the parts that they replaced, nor in what a killed server left."""
    for number in (1, 2, 3):
        part(tmp_path, number, f"x{number}", "twice", f"y{number}")
    part(tmp_path, 9, "x1", hour="2024-05-03 10")
    tidy(tmp_path)
    left = tmp_path / "2024-05-01/10/.s-d-00000004-00000004.parquet.1.partial"
    left.write_bytes(b"twice")
    os.utime(left, (0, 0))
    assert parts.forget(tmp_path, ["twice", "x1", "none"], 0) == 5
    held = [one for path in tmp_path.rglob("*.parquet") for one in parquet.read_table(path)[parts.ID].to_pylist()]
    assert sorted(set(held)) == ["x2", "x3", "y1", "y2", "y3"]
    assert b"twice" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert ids_of(tmp_path) == ["x2", "x3", "y1", "y2", "y3"]
    assert parts.forget(tmp_path, ["twice"], 0) == 0
    assert parts.forget(tmp_path / "none", ["twice"], 0) == 0


@pytest.mark.usefixtures("at_once")
def test_forget_waits_for_a_merge_and_finds_its_rows(tmp_path, monkeypatch):
    """The merge has read its parts already; its file must not bring the row back."""
    for number in (1, 2):
        part(tmp_path, number, str(number))
    begun, go_on, whole = threading.Event(), threading.Event(), os.replace

    def replace(*given: Any) -> None:
        if "00000001-00000002" in str(given[1]) and not begun.is_set():
            begun.set()
            assert go_on.wait(10)
        whole(*given)

    monkeypatch.setattr(os, "replace", replace)
    merging = threading.Thread(target=tidy, args=(tmp_path,))
    merging.start()
    assert begun.wait(10)
    found: list[int] = []
    forgetting = threading.Thread(target=lambda: found.append(parts.forget(tmp_path, ["1"], 0)))
    forgetting.start()
    time.sleep(0.2)
    assert found == []
    go_on.set()
    merging.join()
    forgetting.join()
    assert found == [1]
    assert ids_of(tmp_path) == ["2"]
    assert len(files(tmp_path)) == 3


def test_forget_reaches_rows_that_a_running_server_still_holds(tmp_path, contract, log_in):
    with running(log_in(seconds=0.5)) as made:
        say(made, contract, "1", "2")
        assert made.waiting == 2
        assert parts.forget(tmp_path / "log", ["1"], 0.5) == 1
        say(made, contract, "3")
    assert ids_of(tmp_path / "log") == ["2", "3"]


@pytest.mark.usefixtures("at_once")
def test_forget_gives_up_on_a_lock_or_a_disk_that_does_not_let_it(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "WAIT", 0.1)
    path = part(tmp_path, 1, "1", "2")
    before = path.read_bytes()
    with parts.exclusive(tmp_path, 0), pytest.raises(StoreError, match="being merged or deleted from"):
        parts.forget(tmp_path, ["1"], 0)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match="No space left on device"):
        parts.forget(tmp_path, ["1"], 0)
    assert path.read_bytes() == before
    with pytest.raises(StoreError, match="check the folder"), parts.exclusive(path, 0):
        pass


@pytest.mark.usefixtures("at_once")
def test_the_command_says_how_many_rows_went_and_fails_when_none_did(project, capsys, monkeypatch):
    monkeypatch.setattr(command, "PACKAGE", project.root / command.PACKAGE.name)
    project.params(serve={"log": {"seconds": 0.01}})
    part(Path("predictions"), 1, "1", "2/x", "3")
    assert command.main(["forget", "1", "2/x"]) == 0
    assert capsys.readouterr().out == "2 predictions deleted from predictions\n"
    assert command.main(["forget", "1"]) == 1
    assert capsys.readouterr().err == "forget: predictions holds no prediction with such an id\n"
