"""Locks come forward: every one of them, hashed and without an address."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from baking import PROJECT, commit
from running import run, works

LOCKS = ("requirements.lock", "tests/mutation/requirements.lock", f"{PROJECT}/requirements.lock",
         f"{PROJECT}/requirements-serve.lock")  # fmt: skip
PIN = re.compile(r"^([\w.-]+)==([^\s;]+).*\\$", re.MULTILINE)
OLD = "0.0.1"


def pins(text: str) -> dict[str, set[str]]:
    """Return the versions of every library in a lock."""
    found: dict[str, set[str]] = {}
    for name, version in PIN.findall(text):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.slow
def test_bump_brings_every_lock_forward(template: Path, tmp_path: Path) -> None:
    """A version that is not the newest stands in no lock afterwards; the rest of it is as sound as before."""
    copy = Path(shutil.copytree(template, tmp_path / "template"))
    before = {}
    for name in LOCKS:
        text = (copy / name).read_text(encoding="utf-8")
        before[name] = pins(text)
        (copy / name).write_text(re.sub(r"^(packaging|click)==\S+", rf"\1=={OLD}", text, flags=re.M), encoding="utf-8")
    commit(copy, tmp_path)
    works(run(copy, sys.executable, "-m", "nox", "-s", "bump"))
    for name in LOCKS:
        text = (copy / name).read_text(encoding="utf-8")
        after = pins(text)
        assert not any(OLD in versions for versions in after.values()), name
        assert len(after.keys() & before[name].keys()) > 0.8 * len(before[name]) > 0, name
        assert text.count("--hash=sha256:") >= len(after), name
        assert "://" not in text, name
