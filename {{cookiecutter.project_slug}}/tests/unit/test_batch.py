"""Batch scoring: the server's numbers for files of any kind, whole parts only, and no row that stops a job."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.project_slug }} import __main__ as command
from {{ cookiecutter.project_slug }} import config, record
from {{ cookiecutter.project_slug }}.errors import InputError, StoreError
from {{ cookiecutter.project_slug }}.registry import tracking, versions
from {{ cookiecutter.project_slug }}.serving import batch, tables
from {{ cookiecutter.project_slug }}.serving.version import Version
from {{ cookiecutter.project_slug }}.stages import ingest, validate

from . import small_project

#: Values that other programs write, some of which break the contract of `contract_of`.
MESSY: dict[str, list[str | None]] = {
    "id": ["1", "2.0", "three", None, "4611686018427387905", "6", "7", "8", "-9", "10"],
    "when": ["2024-01-01", "2024-01-01T10:00:00", "2024-01-01 10:00:00.5", "2024-01-01T10:00:00Z", None, "soon",
             "2475.0", "2024-02-30", "2024-01-02 00:00", "2024-01-03"],
    "place": ["a", "b", "d", None, "a", " a", "c", "A", "b", "c"],
    "size": ["1", "2.5", "-1", None, "100.5", "inf", "nan", "x", " 3", "1e2"],
    "open": ["true", "False", "1", "0", "yes", None, "0.0", "true", "2", "TRUE"],
}  # fmt: skip


def version(contract: Any, digest: str = "ab" * 32, threshold: float = 0.5) -> Version:
    """A stand-in that says of each row its size in hundredths, where a null is 0, or that of each class."""

    def arrays(table: pd.DataFrame) -> np.ndarray:
        assert len(table)  # scikit-learn refuses a table without rows
        assert list(table) == contract.inputs
        assert not table.drop(columns="size").isna().any().any()
        assert str(table.dtypes["open"]) == "bool"
        share = table["size"].fillna(0).to_numpy() / 100
        return np.stack([share, 1 - share, share * 0], axis=1) if contract.task == "multiclass" else share

    return Version(digest, {}, contract, threshold, None, arrays, {}, ([], np.empty(0)))


def run(made: Version, source: Any, out: Path) -> pd.DataFrame:
    """Run a job to its end; all its rows."""
    done = batch.run(made, str(source), out, lambda rows: None)
    assert done["finished"]
    assert [part["name"] for part in done["parts"]] == sorted(path.name for path in out.glob("part-*"))
    parts = [pd.read_parquet(out / part["name"]) for part in done["parts"]]
    assert [len(part) for part in parts] == [part["rows"] for part in done["parts"]]
    assert [int(part["broken"].notna().sum()) for part in parts] == [part["broken"] for part in done["parts"]]
    return pd.concat(parts, ignore_index=True)


def bytes_of(out: Path) -> dict[str, bytes]:
    """Every file of a job by name."""
    return {path.name: path.read_bytes() for path in out.iterdir()}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(tables, "CHUNK", 7)


def test_rows_come_out_in_order_with_key_answer_and_decision(tmp_path, contract_of, rows_of):
    rows = rows_of(20)
    record.write_parquet(rows, tmp_path / "in.parquet")
    found = run(version(contract_of(), threshold=0.4), tmp_path / "in.parquet", tmp_path / "out")
    assert list(found) == ["id", "predicted", "decision", "broken"]
    assert found["id"].tolist() == rows["id"].tolist()
    assert found["predicted"].tolist() == (rows["size"].fillna(0) / 100).tolist()
    assert found["decision"].tolist() == (rows["size"] >= 40).astype(int).tolist()
    assert found["broken"].isna().all()
    assert len(list((tmp_path / "out").glob("part-*"))) == 3


def test_without_a_key_a_row_is_named_by_file_and_position(tmp_path, contract_of, rows_of):
    """Whatever the kind of file; a key that one file lacks is no key."""
    names = [str(tmp_path / name) for name in ("a.parquet", "b.csv", "c.jsonl")]
    record.write_parquet(rows_of(10).drop(columns="id"), Path(names[0]))
    rows_of(9).to_csv(names[1], index=False)
    rows_of(8).to_json(names[2], orient="records", lines=True, date_format="iso")
    found = run(version(contract_of()), tmp_path, tmp_path / "out")
    assert found["file"].tolist() == [names[0]] * 10 + [names[1]] * 9 + [names[2]] * 8
    assert found["row"].tolist() == [*range(10), *range(9), *range(8)]
    keyed = run(version(contract_of()), tmp_path / "[bc].*", tmp_path / "keyed")
    assert keyed["id"].tolist() == [*range(9), *range(8)]
    unkeyed = run(version(contract_of(id={"role": "group"}, who=...)), names[1], tmp_path / "unkeyed")
    assert list(unkeyed)[:2] == ["file", "row"]


def test_values_of_json_are_the_text_they_are_written_as(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1.10, "b": 9007199254740993, "c": true, "d": [1], "e": null, "f": "1.10"}\n{"a": 2}\n')
    frame = next(tables.raw_chunks(path, None))
    row = frame.iloc[0].to_dict()
    del row["e"]
    assert row == {"a": "1.10", "b": "9007199254740993", "c": "true", "d": "[1]", "f": "1.10"}
    assert frame.isna().to_numpy().tolist() == [[False] * 4 + [True, False], [False] + [True] * 5]


def test_classes_and_numbers(tmp_path, contract_of, rows_of):
    rows = rows_of(10)
    record.write_parquet(rows, tmp_path / "in.parquet")
    many = run(version(contract_of("multiclass")), tmp_path / "in.parquet", tmp_path / "many")
    assert list(many) == ["id", "predicted.0", "predicted.1", "predicted.2", "decision", "broken"]
    share = rows["size"].fillna(0) / 100
    assert many["predicted.1"].tolist() == (1 - share).tolist()
    assert many["decision"].tolist() == np.where(share >= 0.5, "short", "long").tolist()
    one = run(version(contract_of("regression")), tmp_path / "in.parquet", tmp_path / "one")
    assert list(one) == ["id", "predicted", "broken"]


def messy(folder: Path, form: str) -> Path:
    """The messy rows as a file of some form."""
    frame, path = pd.DataFrame(MESSY, dtype="str"), folder / f"rows.{form}"
    lines = [json.dumps({k: v for k, v in row.items() if v == v}) for row in frame.to_dict("records")]
    if form == "parquet":
        frame.to_parquet(path)
    elif form.startswith("csv"):
        frame.to_csv(path, index=False, sep=";" if form == "csv" else ",", encoding="utf-8-sig")
    else:
        with (gzip.open if form.endswith(".gz") else open)(path, "wt") as stream:
            stream.write("\n\n".join(lines))
    return path


@pytest.mark.parametrize("form", ["parquet", "csv", "csv.gz", "jsonl", "jsonl.gz"])
def test_a_broken_row_is_said_in_the_words_of_the_quarantine(tmp_path, contract_of, form):
    """Reasons and values are those that `ingest` and `validate` give the same file; the other columns are left out."""
    contract = contract_of(id={"min": 0})
    small = contract.model_copy(update={"columns": {n: contract.columns[n] for n in (*contract.key, *contract.inputs)}})
    path = messy(tmp_path, form)
    settings = config.Ingest(source=str(path), query=None, start=None, end=None)
    ingest.snapshot(settings, contract, tmp_path / "raw.parquet")
    raw = record.read_parquet(tmp_path / "raw.parquet")
    typed = pd.DataFrame({name: validate.cast(raw[name], column) for name, column in small.columns.items()})
    broken = validate.broken_rules(raw, typed, small, np.array([]))
    why = broken["column"].str.cat(broken["rule"], sep=": ").groupby(broken["row"]).agg("; ".join)
    found = run(version(contract), path, tmp_path / "out")
    assert dict(found["broken"].dropna()) == dict(why)
    assert len(why) == 7
    good = found["broken"].isna()
    assert found["predicted"].isna().tolist() == (~good).tolist() == found["decision"].isna().tolist()
    assert (
        found.loc[good, "predicted"].tolist()
        == (typed.loc[good, "size"].fillna(0) / 100).tolist()
        == [0.01, 0.025, 1.0]
    )
    assert found["id"].fillna(0).tolist() == typed["id"].fillna(0).tolist()


def test_a_typed_column_is_taken_as_it_is_and_any_other_type_is_cast(tmp_path, contract_of, rows_of):
    """Integers, short floats, nanoseconds, categories and nullable booleans say the same as the declared types."""
    contract = contract_of(extra={"type": "int", "nullable": True})
    rows = rows_of(30).assign(extra=1.0)
    other = rows.assign(
        id=rows["id"].astype("int16"), when=rows["when"].astype("datetime64[ns]"), open=rows["open"].astype("float64"),
        place=rows["place"].astype("category"), size=rows["size"].round(0).astype("Int64"), extra=1,
    )  # fmt: skip
    names = [*contract.key, *contract.inputs]
    plain, why = tables.checked(rows.assign(size=rows["size"].round(0)), contract, names)
    kinds = {name: "float64" if name == "extra" else tables.KINDS[contract.columns[name].type] for name in names}
    assert {name: str(kind) for name, kind in plain.dtypes.items()} == kinds
    found, why_not = tables.checked(other, contract, names)
    pd.testing.assert_frame_equal(found.astype({"open": "bool"}), plain)
    assert not why.any()
    assert not why_not.any()
    infinite = rows.assign(size=np.where(rows["id"] == 3, np.inf, 1.0))
    typed, why = tables.checked(infinite, contract, contract.inputs)
    assert [*np.flatnonzero(why)] == [3]
    assert why[3] == "size: not of type float"
    broken = tables.checked(rows.assign(extra=np.where(rows["id"] == 4, 1.5, np.nan)), contract, ["extra"])[1]
    assert dict(zip(*np.unique(broken.astype(str), return_counts=True), strict=True)) == {
        "None": 29,
        "extra: not of type int": 1,
    }


def test_a_job_of_broken_rows_alone_ends(tmp_path, contract_of, rows_of):
    for task in ("binary", "multiclass", "regression"):
        record.write_parquet(rows_of(9).assign(place="nowhere"), tmp_path / "in.parquet")
        found = run(version(contract_of(task)), tmp_path / "in.parquet", tmp_path / task)
        assert found["broken"].tolist() == ["place: not an admitted value"] * 9
        assert found.filter(like="predicted").isna().all().all()


def test_a_row_without_a_finite_answer_is_broken(tmp_path, contract_of, rows_of, monkeypatch):
    rows = rows_of(9).assign(size=[*range(8), np.nan])
    record.write_parquet(rows, tmp_path / "in.parquet")
    made = version(contract_of())
    whole = made.arrays
    object.__setattr__(made, "arrays", lambda table: np.where(table["size"] == 3, np.nan, whole(table)))
    found = run(made, tmp_path / "in.parquet", tmp_path / "out")
    assert found["broken"].dropna().to_dict() == {3: "gives no finite score"}
    assert found["predicted"].dropna().tolist() == [0, 0.01, 0.02, 0.04, 0.05, 0.06, 0.07, 0]


def test_a_missing_column_stops_before_anything_is_written(tmp_path, contract_of, rows_of):
    record.write_parquet(rows_of(9), tmp_path / "a.parquet")
    for name, write in (("b.parquet", pd.DataFrame.to_parquet), ("b.csv", pd.DataFrame.to_csv)):
        write(rows_of(9).drop(columns="size"), tmp_path / name)
        with pytest.raises(InputError, match=rf"{name} has no column size, which the model reads: add it"):
            run(version(contract_of()), tmp_path, tmp_path / "out")
        (tmp_path / name).unlink()
    (tmp_path / "b.jsonl").write_text('{"when": "2024-01-01"}\n')
    with pytest.raises(InputError, match="b.jsonl has no column place"):
        run(version(contract_of()), tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_are_named_by_path_folder_or_glob(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "in/b.csv",
        "in/deep/a.parquet",
        "in/c.jsonl.gz",
        "in/notes.txt",
        "in/.b.csv",
        "in/out/x.csv",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    out = Path("in/out")
    folder = ["in/b.csv", "in/c.jsonl.gz", "in/deep/a.parquet"]
    assert [str(path) for path in tables.inputs("in", out)] == folder
    assert [str(path) for path in tables.inputs("in/*.[cj]s*", out)] == folder[:2]
    assert tables.inputs(str(tmp_path / "in/*.csv"), out) == [tmp_path / "in/b.csv"]
    assert tables.inputs("in/b.csv", out) == [Path("in/b.csv")]
    for source, said in (
        ("none", "no file matches none"),
        ("in/no*", "cannot read in/notes.txt"),
        ("in/out", "no file"),
    ):
        with pytest.raises(InputError, match=said):
            tables.inputs(source, out)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.parquet", b"PAR1"),
        ("x.csv", b""),
        ("x.csv", b"when,place,size,open\n2024-01-01,a,1,true,2\n"),
        ("x.csv.gz", gzip.compress(b"when,place,size,open\n" * 99, mtime=0)[:-9]),
        ("x.csv", b"when,place,size,open\n\xff\xfe\n"),
        ("x.jsonl", b"[1, 2]\n"),
        ("x.jsonl", b'{"when": \n'),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(tmp_path, contract_of, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name} cannot be read: .*; mend or remove it$"):
        run(version(contract_of()), tmp_path / name, tmp_path / "out")
    assert list(tmp_path.rglob("part-*")) == []


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_job_killed_at_any_step_goes_on_to_the_same_bytes(tmp_path, contract_of, rows_of, monkeypatch, after):
    """Every file comes into being by a rename; the kill is before or after each of them. Whole parts are kept."""
    rows, made, whole = rows_of(25).assign(place=["a", "x", "b", "c", None] * 5), version(contract_of()), os.replace
    rows.iloc[:10].to_csv(tmp_path / "a.csv", index=False)
    record.write_parquet(rows.iloc[10:], tmp_path / "b.parquet")
    source = str(tmp_path / "[ab].*")
    run(made, source, tmp_path / "undisturbed")
    expected = bytes_of(tmp_path / "undisturbed")
    assert len(expected) == 6
    killed = 0
    for nth in range(1, 14):
        out, calls = tmp_path / f"out{nth}", itertools.count(1)

        def replace(*given: Any, calls: Any = calls, nth: int = nth) -> None:
            due = next(calls) == nth
            if due and not after:
                raise Killed
            whole(*given)
            if due:
                raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            try:
                batch.run(made, source, out, lambda rows: None)
            except Killed:
                killed += 1
        left = {name: held for name, held in bytes_of(out).items() if name.startswith("part")} if out.exists() else {}
        assert left.items() <= expected.items()
        times = {name: (out / name).stat().st_mtime_ns for name in left}
        run(made, source, out)
        assert bytes_of(out) == expected
        again = [name for name, time in times.items() if (out / name).stat().st_mtime_ns != time]
        assert len(again) <= 1
    assert killed == 12


def test_another_model_or_input_is_refused_and_a_foreign_folder_too(tmp_path, contract_of, rows_of):
    record.write_parquet(rows_of(9), tmp_path / "in.parquet")
    out, contract = tmp_path / "out", contract_of()
    run(version(contract), tmp_path / "in.parquet", out)
    before = bytes_of(out)
    wider = contract_of(size={"max": 200})
    others = {"model": {"digest": "cd" * 32}, "threshold": {"threshold": 0.4}}
    changed = {what: version(contract, **change) for what, change in others.items()} | {"contract": version(wider)}
    for what, made in changed.items():
        with pytest.raises(InputError, match=f"out was begun with another {what}: give another OUT or delete this one"):
            run(made, tmp_path / "in.parquet", out)
    time = (tmp_path / "in.parquet").stat().st_mtime_ns
    for rows, when in ((9, 0), (8, time)):
        record.write_parquet(rows_of(rows), tmp_path / "in.parquet")
        os.utime(tmp_path / "in.parquet", ns=(when, when))
        with pytest.raises(InputError, match="begun with another inputs"):
            run(version(contract), tmp_path / "in.parquet", out)
    assert bytes_of(out) == before
    for foreign in (tmp_path, tmp_path / "in.parquet"):
        with pytest.raises(InputError, match="holds no manifest.json: give another OUT"):
            batch.manifest(foreign, {})


def test_a_job_killed_before_its_first_manifest_begins_again(tmp_path, contract_of, rows_of):
    record.write_parquet(rows_of(9), tmp_path / "in.parquet")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.manifest.json.9.partial").touch()
    assert len(run(version(contract_of()), tmp_path / "in.parquet", tmp_path / "out")) == 9


def test_a_full_disk_leaves_whole_parts_and_the_job_goes_on(tmp_path, contract_of, rows_of, monkeypatch):
    record.write_parquet(rows_of(20), tmp_path / "in.parquet")
    made, whole = version(contract_of()), record.write_atomically

    def full(path: Path, write: Any) -> None:
        if path.name == "part-00001.parquet":
            raise StoreError("cannot write: No space left on device")
        whole(path, write)

    monkeypatch.setattr(record, "write_atomically", full)
    with pytest.raises(StoreError, match="No space left"):
        run(made, tmp_path / "in.parquet", tmp_path / "out")
    monkeypatch.setattr(record, "write_atomically", whole)
    assert sorted(bytes_of(tmp_path / "out")) == ["manifest.json", "part-00000.parquet"]
    (tmp_path / "out/.part-00001.parquet.9.partial").write_bytes(b"PAR1")  # as a kill would leave it
    assert len(run(made, tmp_path / "in.parquet", tmp_path / "out")) == 20
    assert not list((tmp_path / "out").glob(".*"))


def test_a_chunk_is_read_while_another_is_scored_and_three_are_held_at_most():
    """Scoring waits for the next one to be read, finishing for the next one to be scored: else both would time out."""
    read, scored, finished = ([threading.Event() for _ in range(9)] for _ in range(3))

    def found() -> Any:
        for i in range(9):
            assert i < 3 or finished[i - 3].is_set()
            read[i].set()
            yield i

    def score(piece: Any) -> Any:
        scored[piece].set()
        assert piece == 8 or read[piece + 1].wait(10)
        return piece * 2

    def finish(piece: Any, scores: Any) -> None:
        assert scores == piece * 2
        assert piece == 8 or scored[piece + 1].wait(10)
        finished[piece].set()

    batch.overlapped(found(), score, finish)
    assert all(event.is_set() for event in finished)


def test_what_goes_wrong_in_a_thread_ends_the_job():
    def failing(*_: Any) -> Any:
        raise InputError("no")

    for score, finish in ((failing, lambda *_: None), (lambda _: None, failing)):
        with pytest.raises(InputError, match="^no$"):
            batch.overlapped(iter([1, 2]), score, finish)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose weak model is champion, as version 1."""
    return small_project.make(tmp_path / "p", monkeypatch)


def test_the_command_scores_as_evaluation_did_by_version_or_bundle(project, tmp_path, capsys):
    expected = record.read_parquet(Path("data/predictions.parquet"))["predicted"]
    assert command.main(["batch", "data/test.parquet", "out"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("out holds the predictions of ")
    assert said.endswith(f": {len(expected)} rows, 0 of them broken\n")
    found = pd.concat([pd.read_parquet(path) for path in sorted(Path("out").glob("part-*"))], ignore_index=True)
    np.testing.assert_allclose(found["predicted"], expected, rtol=0, atol=1e-12)
    before = {path: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    assert command.main(["batch", "data/test.parquet", "out", "--version", "1"]) == 0
    assert capsys.readouterr().out == f"out was finished before: {len(expected)} rows, 0 of them broken\n"
    assert {path: path.stat().st_mtime_ns for path in Path("out").iterdir()} == before
    with tracking.session() as client:
        versions.export(client, "champion", tmp_path / "bundle")
    shutil.rmtree(".mlflow")
    assert command.main(["batch", "data/test.parquet", "again", "--bundle", str(tmp_path / "bundle")]) == 0
    assert [held for name, held in sorted(bytes_of(Path("again")).items())] == [
        held for name, held in sorted(bytes_of(Path("out")).items())
    ]
    assert command.main(["batch", "none.csv", "out"]) == 1


def test_progress_is_of_all_rows_where_files_say_how_many(tmp_path, contract_of, rows_of, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    record.write_parquet(rows_of(20), tmp_path / "in.parquet")
    assert tables.total([tmp_path / "in.parquet"] * 2) == 40
    assert tables.total([tmp_path / "in.parquet", tmp_path / "x.csv"]) is None
    assert batch.main(str(tmp_path / "in.parquet"), tmp_path / "out", version(contract_of())) == 0
    said = capsys.readouterr()
    assert "20/20" in said.err
    assert said.out.endswith("20 rows, 0 of them broken\n")
    told: list[int] = []
    batch.run(version(contract_of()), str(tmp_path / "in.parquet"), tmp_path / "out", told.append)
    assert told == [20]
    monkeypatch.delenv("FORCE_COLOR")
    batch.main(str(tmp_path / "in.parquet"), tmp_path / "out", version(contract_of()))
    assert capsys.readouterr().err == ""
