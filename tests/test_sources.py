"""Rows from real sources: a PostgreSQL server and an S3 store that the tests start themselves."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from running import SLUG, command, copy_of, free_port, run, set_param, works
from stores import AWS, PASSWORD, USER, Server, binaries

Sql = Callable[[str], str]
COLUMNS = {
    "id": {"type": "int", "role": "key"},
    "seen": {"type": "datetime", "role": "time"},
    "amount": {"type": "float"},
    "note": {"type": "category", "nullable": True},
    "late": {"type": "int", "role": "target", "values": [0, 1]},
}
#: A row per number up to {0}: text with gaps, exact decimals, times in steps of a minute.
MADE = (
    "SELECT i AS id, timestamp '2020-01-01' + i * interval '1 minute' AS seen, (i * 37 % 1000003)::numeric(12, 3) / 8"
    " AS amount, CASE WHEN i % 7 > 0 THEN 'note ' || i % 1009 END AS note, i % 3 = 0 AS late"
    " FROM generate_series(1, {0}) AS i"
)
#: Run the rest of the command line and print its peak resident memory in KB.
PEAK = (
    "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode;"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)


@pytest.fixture(scope="module")
def database(postgres: Server) -> tuple[str, Sql]:
    """Return the address of a PostgreSQL server that asks for PASSWORD, and what runs SQL there."""
    address = f"postgresql://{USER}@127.0.0.1:{postgres.port}/postgres"

    def sql(text: str) -> str:
        """Return what PostgreSQL answers."""
        line = [str(binaries() / "psql"), "-qtA", "-v", "ON_ERROR_STOP=1", "-d", address, "-c", text]
        done = subprocess.run(
            line, env=os.environ | {"PGPASSWORD": PASSWORD}, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout

    return address, sql


@pytest.fixture(scope="module")
def store(s3: Server) -> dict[str, str]:
    """Return the variables that lead to an S3 store with an empty bucket `rows`."""
    variables = AWS | {"AWS_ENDPOINT_URL": s3.url}
    bucket(variables).create()
    return variables


def bucket(variables: dict[str, str], name: str = "rows") -> Any:
    """Return a bucket of the store."""
    return boto3.resource(
        "s3", endpoint_url=variables["AWS_ENDPOINT_URL"], region_name=variables["AWS_DEFAULT_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"], aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    ).Bucket(name)  # fmt: skip


@pytest.fixture
def empty(started: Path, tmp_path: Path) -> Path:
    """Return a project that declares COLUMNS, and whose source is still to be said."""
    project = copy_of(started, tmp_path, "demo", ".mlflow", "data")
    text = yaml.safe_dump({"task": "binary", "columns": COLUMNS}, sort_keys=False)
    (project / "schema.yaml").write_text(text, encoding="utf-8")
    for bound in ("start", "end"):
        set_param(project, f"ingest.{bound}", None)
    return project


def ask(project: Path, source: str, query: str | None = None) -> None:
    """Say where rows come from."""
    set_param(project, "ingest.source", source)
    set_param(project, "ingest.query", query)


def data_hash(project: Path) -> str:
    """Return the version of the data."""
    return hashlib.sha256((project / "data/raw.parquet").read_bytes()).hexdigest()


def table(project: Path, expression: str) -> str:
    """Return what an expression about the snapshot `t` prints in the project's environment."""
    program = f"import pandas as pd; t = pd.read_parquet('data/raw.parquet'); print({expression})"
    return works(run(project, "python", "-c", program)).strip()


def refused(project: Path, *said: str, **variables: str) -> None:
    """Ingest; it must end within seconds in one line that says all of `said`."""
    began = time.monotonic()
    done = command(project, "ingest", **variables)
    assert time.monotonic() - began < 30
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr[-2000:]
    assert lines[0].startswith("ingest: ")
    assert [words for words in said if words not in lines[0]] == [], lines[0]
    assert PASSWORD not in lines[0]
    assert not [path.name for path in project.glob("data/*") if path.name != ".gitignore"]


def test_the_order_of_a_table_does_not_count_and_each_value_does(empty: Path, database: tuple[str, Sql]) -> None:
    """The same rows are the same version of the data, wherever an update has put them."""
    address, sql = database
    sql(f"CREATE TABLE moved AS {MADE.format(20_000)}")
    ask(empty, address, "SELECT * FROM moved")
    hashes = []
    for change in ("SELECT 1", "UPDATE moved SET late = late WHERE id % 2 = 0",
                   "UPDATE moved SET amount = amount + 0.001 WHERE id = 7777"):  # fmt: skip
        sql(change)
        works(command(empty, "ingest", PGPASSWORD=PASSWORD))
        hashes.append(data_hash(empty))
    assert sql("SELECT id FROM moved LIMIT 1").strip() == "1"
    assert table(empty, "len(t), t.id.astype(int).sum(), t.note.isna().sum()") == "20000 200010000 2857"
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.slow
def test_a_million_rows_of_postgresql_stream(empty: Path, database: tuple[str, Sql]) -> None:
    """Memory is bounded and does not grow with rows; shuffled rows give the same bytes."""
    address, sql = database
    sql(f"CREATE TABLE few AS {MADE.format(200_000)}; CREATE TABLE many AS {MADE.format(1_000_000)}")
    sql("CREATE TABLE shuffled AS SELECT * FROM many ORDER BY md5(id::text)")
    peaks: dict[str, int] = {}
    hashes = {}
    for name in ("few", "many", "shuffled"):
        ask(empty, address, f"SELECT * FROM {name}")
        done = run(empty, "python", "-c", PEAK, "python", "-m", SLUG, "ingest", PGPASSWORD=PASSWORD)
        peaks[name], hashes[name] = int(works(done)) // 1024, data_hash(empty)
    assert table(empty, "len(t)") == "1000000"
    assert hashes["many"] == hashes["shuffled"] != hashes["few"]
    assert peaks["many"] < 500, peaks
    assert peaks["many"] < 1.6 * peaks["few"], peaks  # five times the rows; what is sorted is in memory up to MEMORY


def test_a_query_knows_the_window_and_every_value_is_exact_text(empty: Path, database: tuple[str, Sql]) -> None:
    """Decimals, times with and without a zone, words, gaps; :start and :end are bound, not pasted."""
    address, sql = database
    sql("""CREATE TABLE odd (id int, seen timestamp, amount numeric, note text, late bool, at timestamptz, more jsonb);
        INSERT INTO odd VALUES (1, '2020-01-01', 0.10, '00501', true, '2020-01-01 00:00+02', '{"b": [1], "a": null}'),
        (2, '2020-01-31 23:59:59.25', 12345678901234567890.123, 'it''s 50% :end', NULL, NULL, NULL),
        (3, '2020-02-01', 1, 'after', false, NULL, NULL), (4, NULL, 'NaN', 'no time', false, NULL, NULL)""")
    ask(empty, address, "SELECT * FROM odd WHERE seen >= :start AND seen < :end OR note LIKE '%n_ time%'::text")
    set_param(empty, "ingest.start", "2020-01-01")
    set_param(empty, "ingest.end", "2020-02-01")
    works(command(empty, "ingest", PGPASSWORD=PASSWORD, PGTZ="Asia/Tokyo"))
    assert table(empty, "t.fillna('-').to_dict('list')").replace(" 00:00:00", "") == str({
        "id": ["1", "2", "4"], "seen": ["2020-01-01", "2020-01-31 23:59:59.250000", "-"],
        "amount": ["0.10", "12345678901234567890.123", "-"], "note": ["00501", "it's 50% :end", "no time"],
        "late": ["true", "-", "false"], "at": ["2019-12-31 22:00:00+00:00", "-", "-"],
        "more": ['{"a": null, "b": [1]}', "-", "-"],
    })  # fmt: skip


def test_a_database_that_does_not_answer_is_one_line(empty: Path, database: tuple[str, Sql]) -> None:
    """A password in the address, a wrong one, another port, a column that is not there."""
    address, _ = database
    ask(empty, address.replace(f"{USER}@", f"{USER}:{PASSWORD}@"), "SELECT 1 AS id")
    refused(empty, "ingest.source holds a password", "PGPASSWORD or ~/.pgpass")
    ask(empty, address, "SELECT nothing FROM pg_class")
    refused(empty, "cannot be read", "password authentication failed", PGPASSWORD="wrong")
    refused(empty, "cannot be read", 'column "nothing" does not exist', PGPASSWORD=PASSWORD)
    ask(empty, f"postgresql://{USER}@127.0.0.1:{free_port()}/postgres", "SELECT 1 AS id")
    refused(empty, "cannot be read", "onnection refused")
    ask(empty, address)
    refused(empty, "ingest.query: a database needs one")


def rows(first: int, end: int) -> str:
    """Return lines of CSV."""
    return "".join(f"{i},2020-01-01 {i % 24:02}:00,{i / 8},n{i % 9},{i % 2}\n" for i in range(first, end))


HEAD = "id,seen,amount,note,late\n"


def test_objects_are_read_as_files_are(empty: Path, store: dict[str, str]) -> None:
    """A glob over compressed CSV gives the snapshot that the same files give; Parquet and JSON lines, too."""
    (empty / "in").mkdir()
    with gzip.open(empty / "in/a.csv.gz", "wt") as stream:
        stream.write(HEAD + rows(0, 50_000))
    (empty / "in/b.csv").write_text(HEAD + rows(50_000, 60_000))
    (empty / "one.jsonl").write_text('{"id": 1, "seen": "2020-01-01", "note": "00501"}\n{"id": 2}\n')
    works(run(empty, "python", "-c", "import pandas as pd; pd.DataFrame({'id': range(9)}).to_parquet('two.parquet')"))
    for name in ("in/a.csv.gz", "in/b.csv", "one.jsonl", "two.parquet"):
        bucket(store).upload_file(str(empty / name), name)
    for pattern, count in (("in/*.csv*", 60_000), ("one.jsonl", 2), ("two.parquet", 9)):
        ask(empty, pattern)
        works(command(empty, "ingest"))
        here = data_hash(empty)
        ask(empty, f"s3://rows/{pattern}")
        works(command(empty, "ingest", **store))
        assert data_hash(empty) == here
        assert table(empty, "len(t)") == str(count)


def test_a_store_that_does_not_answer_is_one_line(empty: Path, store: dict[str, str]) -> None:
    """No bucket, no object, a cut one, no credentials, no store."""
    ask(empty, "s3://nowhere/a.csv")
    refused(empty, "no file matches s3://nowhere/a.csv", **store)
    ask(empty, "s3://rows/nothing/*.csv")
    refused(empty, "no file matches s3://rows/nothing/*.csv", **store)
    for name, packed in (("cut.csv.gz", gzip.compress((HEAD + rows(0, 9999)).encode())), ("none.csv", b"")):
        bucket(store).put_object(Key=name, Body=packed[: len(packed) // 2])
        ask(empty, f"s3://rows/{name}")
        refused(empty, f"s3://rows/{name}", **store)
    without = {"AWS_ENDPOINT_URL": store["AWS_ENDPOINT_URL"], "AWS_EC2_METADATA_DISABLED": "true"}
    refused(empty, "s3://rows/none.csv cannot be read", "credentials", **without)
    refused(empty, "cannot be read", "connect", **(store | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}))


def depend(project: Path, *names: str) -> None:
    """Let `ingest` depend on `names` instead of the sample."""
    pipeline = project / "dvc.yaml"
    tree = yaml.safe_load(pipeline.read_text(encoding="utf-8"))
    deps = [dep for dep in tree["stages"]["ingest"]["deps"] if dep != "demo/flights.parquet"]
    tree["stages"]["ingest"]["deps"] = [*names, *deps]
    pipeline.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")


def test_dvc_reads_a_database_again_when_told_or_for_another_window(empty: Path, database: tuple[str, Sql]) -> None:
    """DVC cannot watch a database: the same window is not read twice, unless forced; another one is."""
    address, sql = database
    sql(f"CREATE TABLE watched AS {MADE.format(100)}")
    depend(empty)
    ask(empty, address, "SELECT * FROM watched")
    counts = []
    for arguments, end, change in (
        ((), "2021-01-01", "SELECT 1"),
        ((), "2021-01-01", "INSERT INTO watched SELECT id + 100, seen, amount, note, late FROM watched"),
        (("-f",), "2021-01-01", "SELECT 1"),
        ((), "2020-01-01 00:11:00", "SELECT 1"),
        ((), "2021-01-01", "DELETE FROM watched WHERE id > 150"),
    ):
        sql(change)
        set_param(empty, "ingest.start", "2020-01-01")
        set_param(empty, "ingest.end", end)
        works(run(empty, "dvc", "repro", *arguments, "ingest", PGPASSWORD=PASSWORD))
        counts.append(int(table(empty, "len(t)")))
    assert counts == [100, 100, 200, 20, 150]


def test_dvc_sees_that_an_object_changed(empty: Path, store: dict[str, str]) -> None:
    """With the object among the dependencies of `ingest`, `dvc repro` reads it again when it is another."""
    depend(empty, "s3://rows/dep.csv")
    ask(empty, "s3://rows/dep.csv")
    hashes, ran = [], []
    for count in (100, 100, 200):
        bucket(store).put_object(Key="dep.csv", Body=(HEAD + rows(0, count)).encode())
        ran.append("Running stage 'ingest'" in works(run(empty, "dvc", "repro", "ingest", **store)))
        hashes.append(data_hash(empty))
    assert ran == [True, False, True]
    assert len(set(hashes)) == 2
