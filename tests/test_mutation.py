"""What decides is held by its unit tests: of ten small changes to it, they notice at least nine."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from baking import ROOT
from conftest import Bake
from running import run, works

HERE = ROOT / "tests" / "mutation"
DECIDES = ("gates/*.py", "monitoring/d*.py", "stages/split.py", "registry/promotion.py", "registry/comparison.py")
SHARE = 0.9
ENDLESS = 0.01
#: How many mutants of a module are tried, where all would take long: its tests start pytest, git or MLflow anew.
SAMPLE = {"gates/run.py": 80, "registry/promotion.py": 40}


def uv(*arguments: str) -> None:
    """Run uv, which stands in the lock."""
    subprocess.run([sys.executable, "-m", "uv", *arguments], check=True)


@pytest.fixture(scope="module")
def report(bake: Bake) -> dict[str, Any]:
    """Return what became of each module's mutants, in a project whose environment has mutmut as well."""
    project = bake()
    uv("venv", "--quiet", "--python", sys.executable, str(project / ".venv"))
    locks = ["-r", str(project / "requirements.lock"), "-r", str(HERE / "requirements.lock")]
    python = str(project / ".venv" / "bin" / "python")
    uv("pip", "install", "--quiet", "--require-hashes", "--python", python, *locks)
    return {module: mutated(project, module) for module in modules(project / project.name)}


def modules(package: Path) -> list[str]:
    """Return the modules of a project that decide."""
    found = [path for pattern in DECIDES for path in sorted(package.glob(pattern)) if path.stem != "__init__"]
    return [path.relative_to(package).as_posix() for path in found]


def mutated(project: Path, module: str) -> dict[str, Any]:
    """Return what became of one module's mutants.

    mutmut forks, and a fork of a process whose OpenMP has made threads waits for ever where it needs them.
    """
    most = [str(SAMPLE[module])] if module in SAMPLE else []
    works(run(project, "python", str(HERE / "mutate.py"), module, *most, OMP_NUM_THREADS="1"))
    found: dict[str, Any] = json.loads((project / "mutants.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
def test_nine_mutants_of_ten_are_killed(report: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Each module's figures are printed; the share is that of all tried mutants together.

    Few may be killed by never ending: many would mean that it is not the change that hangs.
    """
    total, killed, endless = (sum(module[key] for module in report.values()) for key in ("tried", "killed", "endless"))
    with capsys.disabled():
        print("\nmutants killed, of those tried")
        for name, module in report.items():
            sampled = f" ({module['tried']} of {module['made']} tried)" if module["tried"] < module["made"] else ""
            print(f"  {module['killed']:>5} of {module['tried']:>5}  {name}{sampled}")
        print(f"  {killed:>5} of {total:>5}  all: {killed / total:.1%}, of which {endless} never ended")
    assert killed >= SHARE * total
    assert endless <= ENDLESS * total


@pytest.mark.slow
def test_every_survivor_is_listed_with_a_reason_and_nothing_else_is(report: dict[str, Any]) -> None:
    """A new survivor wants a test, simpler code or a reason; one that died or is gone leaves the list."""
    groups = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))["may_live"]
    assert all(len(group["because"]) > 20 for group in groups)
    listed = Counter(f"{group['module']} {mutant}" for group in groups for mutant in group["mutants"])
    alive = Counter(f"{name} {mutant}" for name, module in report.items() for mutant in module["alive"])
    unlisted, gone = sorted((alive - listed).elements()), sorted((listed - alive).elements())
    assert not unlisted, "survived and not in tests/mutation/survivors.toml:\n" + "\n".join(unlisted)
    assert not gone, "in tests/mutation/survivors.toml and did not survive:\n" + "\n".join(gone)
