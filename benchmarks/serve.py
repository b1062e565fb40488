"""Serving: answers over HTTP against MLflow's own server and against a constant, and batches against memory."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from project import HERE, ROUNDS, SLUG, Figure, Project

CONNECTIONS = 8
#: Seconds of one round of one server, and of those before the first.
LASTS, WARMS = 5, 2
ROWS = 1_000_000
#: One test row without nulls, as `/predict` takes it.
ROW = f"""
import json, pandas as pd
from {SLUG} import schema
row = pd.read_parquet("data/test.parquet")[schema.load().inputs].dropna().iloc[0].to_dict()
print(json.dumps({{k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in row.items()}}))
"""
#: The sample repeated with fresh ids, as a source would give it.
REPEAT = """
import sys, pandas as pd
rows = pd.read_parquet(sys.argv[1]).sample(int(sys.argv[3]), replace=True, random_state=0)
rows["id"] = range(len(rows))
rows.to_parquet(sys.argv[2], index=False)
"""


@dataclass(frozen=True)
class Answers:
    """What one server gave: requests a second, and the 99th percentile of their duration in ms."""

    rate: float
    p99: float


@contextmanager
def serving(project: Project, command: Sequence[str | Path], port: int, **variables: str) -> Iterator[int]:
    """A server of the project's environment for as long as the context, once it answers; its port."""
    environment = os.environ | {"PATH": project.path} | variables
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=project.root, env=environment, stdout=said, stderr=said)
        try:
            deadline = time.monotonic() + 120
            while not up(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise SystemExit(f"{' '.join(map(str, command))} failed:\n{said.read().decode()[-2000:]}")
                time.sleep(0.2)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=60)


def up(port: int) -> bool:
    """Whether a server is ready: ours says so at /readyz, MLflow's at /ping."""
    for path in ("readyz", "ping"):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5).close()
            return True
        except urllib.error.HTTPError:
            continue
        except OSError:
            return False
    return False


def ask(url: str, body: Path) -> Any:
    """The answer to one request."""
    request = urllib.request.Request(url, body.read_bytes(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def press(url: str, body: Path, seconds: int) -> Answers:
    """What wrk finds; an answer that is none ends the benchmark."""
    command: list[str | Path] = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "-s",
        HERE / "post.lua",
        url,
        "--",
        body,
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    if found["errors"]:
        raise SystemExit(f"{url}: {found['errors']} of {found['requests']} requests failed")
    return Answers(found["rate"], found["p99"])


def python(project: Project, *arguments: str | Path) -> str:
    """What the project's Python printed."""
    command = [project.root / ".venv/bin/python", *arguments]
    inside = os.environ | {"PATH": project.path, "PYTHONPATH": str(project.root)}
    done = subprocess.run(command, cwd=project.root, env=inside, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))[:200]} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def serve(project: Project) -> list[Figure]:
    """One row a request, eight connections, one worker: ours, MLflow's server of the same version, and a constant."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bundle, row, wrapped = folder / "bundle", folder / "row.json", folder / "wrapped.json"
        python(project, "-m", SLUG, "export", "champion", bundle)
        row.write_text(python(project, "-c", ROW), encoding="utf-8")
        wrapped.write_text(json.dumps({"dataframe_records": [json.loads(row.read_text())]}), encoding="utf-8")
        bin_ = project.root / ".venv/bin"
        ours, mlflow, constant = free_port(), free_port(), free_port()
        store = f"sqlite:///{project.root}/.mlflow/mlflow.db"
        stack.enter_context(serving(project, [bin_ / "python", "-m", SLUG, "serve", "--port", str(ours)], ours))
        stack.enter_context(serving(project, [bin_ / "mlflow", "models", "serve", "-m", f"models:/{SLUG}@champion",
                            "--env-manager", "local", "--workers", "1", "--port", str(mlflow)], mlflow,
                            MLFLOW_TRACKING_URI=store))  # fmt: skip
        stack.enter_context(serving(project, [bin_ / "python", HERE / "constant.py", bundle, str(constant)], constant))
        requests = {
            "ours": (f"http://127.0.0.1:{ours}/predict", row),
            "mlflow": (f"http://127.0.0.1:{mlflow}/invocations", wrapped),
            "constant": (f"http://127.0.0.1:{constant}/predict", row),
        }
        same(*(ask(*request) for request in requests.values()))
        found: dict[str, list[Answers]] = {name: [] for name in requests}
        for name in requests:
            press(*requests[name], WARMS)
        for _ in range(ROUNDS):
            for name, request in requests.items():
                found[name].append(press(*request, LASTS))
    return compared({name: Answers(median(a.rate for a in all_), median(a.p99 for a in all_))
                     for name, all_ in found.items()})  # fmt: skip


def same(ours: Any, mlflow: Any, constant: Any) -> None:
    """End the benchmark unless both servers of the model say the same, and the constant is one."""
    score, theirs = ours["predictions"][0]["score"], mlflow["predictions"][0][1]
    if abs(score - theirs) > 1e-12 or constant["predictions"][0]["score"] != 0.5:
        raise SystemExit(f"not the same model: {score}, MLflow {theirs}, constant {constant['predictions'][0]}")


def compared(found: dict[str, Answers]) -> list[Figure]:
    """The three servers in the table's words."""
    ours, mlflow, constant = found["ours"], found["mlflow"], found["constant"]
    detail = ", ".join(f"{name} {one.rate:.0f}/s" for name, one in found.items())
    late = ", ".join(f"{name} {one.p99:.1f} ms" for name, one in found.items())
    return [
        Figure("requests/s of `serve`, against `mlflow models serve`", f"{ours.rate / mlflow.rate:.1f}x",
               "at least 15x", detail),
        Figure("its 99th percentile, against the same", f"{ours.p99 / mlflow.p99:.2f}x", "0.2x", late),
        Figure("requests/s of `serve`, against a constant", f"{ours.rate / constant.rate:.2f}x", "at least 0.3x",
               detail),
    ]  # fmt: skip


def batch(project: Project) -> list[Figure]:
    """A million rows through `batch`, from a file to files, against one prediction of them in memory, in one process.

    What the command costs besides, the start of Python and the model's load, is the same for one row: it is told apart.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bundle, source = folder / "bundle", folder / "rows.parquet"
        python(project, "-m", SLUG, "export", "champion", bundle)
        python(project, "-c", REPEAT, "demo/flights.parquet", source, str(ROWS))
        rounds = [json.loads(python(project, HERE / "in_memory.py", bundle, source)) for _ in range(ROUNDS)]
        whole = project.cost("python", "-m", SLUG, "batch", str(source), str(folder / "out")).seconds
    spent, least = (median(one[name] for one in rounds) for name in ("batch", "memory"))
    detail = (f"batch {ROWS / spent:,.0f} rows/s, memory {ROWS / least:,.0f} rows/s;"
              f" the command with its start {whole:.1f} s")  # fmt: skip
    return [Figure("rows/s of `batch`, against one `model.predict`", f"{least / spent:.2f}x", "at least 0.8x", detail)]
