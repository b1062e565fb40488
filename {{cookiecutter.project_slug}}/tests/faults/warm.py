"""Start Python commands as forks of one process that has imported the libraries, and none of the project's code.

Half of what a stage costs is importing libraries. `serve` imports them once; the program `python` that
`shim` writes asks it for a fork, which changes to the caller's folder, environment and files, and runs the module
as `python -m` would. Whatever is not `-m` of the project, pytest or DVC runs in a plain interpreter, as all does
under `--cold` and where there is no fork.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

LIBRARIES = (
    "pandas", "pyarrow.parquet", "pyarrow.dataset", "pydantic", "yaml", "duckdb", "pandera.pandas", "scipy.stats",
    "sklearn.compose", "sklearn.impute", "sklearn.preprocessing", "sklearn.ensemble", "sklearn.linear_model",
    "sklearn.dummy", "sklearn.metrics", "sklearn.model_selection", "sklearn.pipeline", "sklearn.tree", "skops.io",
    "fastapi_offline", "uvicorn", "prometheus_client", "ecs_logging", "pytest", "filelock", "sqlalchemy",
    "mlflow.models", "mlflow.sklearn", "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store",
    "dvc.cli", "dvc.commands.repro", "dvc.commands.commit", "dvc.repo", "dvc.stage.run",
)  # fmt: skip
SHIM = """#!{python} -IS
import json, os, socket, sys
asked = sys.argv[1:]
if asked[:1] != ["-m"] or asked[1].partition(".")[0] not in {modules!r}:
    os.execv({python!r}, [{python!r}, *asked])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    text = json.dumps([asked[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(text).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(text)
    said = server.recv(1)
sys.exit(said[0] if said else 1)
"""


def shim(folder: Path, package: str) -> Path:
    """Write the program `python` for the server that listens in `folder`, and return its folder."""
    program = folder / "bin" / "python"
    program.parent.mkdir()
    modules = ("pytest", "dvc", package)
    program.write_text(SHIM.format(python=sys.executable, modules=modules, address=str(folder / "door")))
    program.chmod(0o755)
    return program.parent


def start(folder: Path, package: str, environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], Path]:
    """A running server and the folder of its `python`; RuntimeError when it does not come up."""
    program = shim(folder, package)
    command = [sys.executable, str(Path(__file__)), str(folder / "door"), str(program / "python")]
    server = subprocess.Popen(command, env=environment)
    until = time.monotonic() + 60
    while not (folder / "door").exists():
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError("the process that holds the libraries did not start: use --cold")
        time.sleep(0.02)
    return server, program


def serve(address: str, program: str) -> NoReturn:
    """Import the libraries, then fork for every caller until killed."""
    for name in LIBRARIES:
        importlib.import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits: a child itself tells its caller how it ended
    door = socket.socket(socket.AF_UNIX)
    door.bind(address + ".new")
    door.listen(64)
    os.rename(address + ".new", address)
    while True:
        caller, _ = door.accept()
        if os.fork() == 0:
            door.close()
            become(caller, program)
        caller.close()


def become(caller: socket.socket, program: str) -> NoReturn:
    """In the fork: run what the caller asks for, tell it the exit code, and end."""
    import numpy as np

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, files, _, _ = socket.recv_fds(caller, 8, 3)
    size = int.from_bytes(head, "big")
    text = b""
    while len(text) < size:
        text += caller.recv(size - len(text))
    (module, *arguments), folder, environment = json.loads(text)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, sys.path[0], sys.executable = [module, *arguments], folder, program
    random.seed()
    np.random.seed()
    code = run(module)
    caller.send(bytes([code]))
    os._exit(code)


def run(module: str) -> int:
    """Run a module as `python -m` does, exit functions included; its exit code."""
    code = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:  # what the interpreter itself would print
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code & 255


if __name__ == "__main__":
    serve(*sys.argv[1:])
