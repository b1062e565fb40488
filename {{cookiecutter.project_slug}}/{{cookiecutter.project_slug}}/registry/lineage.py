"""Where a model comes from: commit, code, data, parameters, environment, pipeline, as hashes of what lies here."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from .. import config, record, schema
from ..errors import InputError
from ..gates import verdict

LOCK = Path("dvc.lock")
#: What decides a model and its verdict besides data and parameters: these must be committed before registration.
CODE = (verdict.PACKAGE.name, "tests/pretrain", "tests/posttrain", "dvc.yaml", "requirements.lock")


def git(*arguments: str) -> str:
    """What git prints. Raises InputError where it fails."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"git {arguments[0]} failed: {(done.stderr.splitlines() or ['no reason given'])[-1]}")
    return done.stdout.rstrip("\n")


def require_repository() -> None:
    """Raise InputError outside a git repository that has a commit."""
    here = Path.cwd().resolve()
    if not any((folder / ".git").exists() for folder in (here, *here.parents)):
        raise InputError("this folder is not in a git repository: run `git init` first")


def require_committed() -> None:
    """Raise InputError when code that decides the model differs from the last commit."""
    changed = git("status", "--porcelain", "--untracked-files=all", "--", *CODE).splitlines()
    if changed:
        names = ", ".join(line[3:] for line in changed[:3])
        raise InputError(f"not committed: {names}; commit the code first, or nobody can make this model again")


def environment() -> str:
    """SHA-256 over Python's minor version and every installed distribution with its version."""
    installed = sorted({f"{d.name}=={d.version}".lower() for d in metadata.distributions()})
    return record.value_sha256([list(sys.version_info[:2]), installed])


def require_lock() -> None:
    """Raise InputError unless `dvc.lock` describes the data, model and reports that lie here.

    DVC hashes files with MD5; a stage that was run by hand, or a stopped pipeline, leaves another hash.
    """
    try:
        stages = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"]
    except (OSError, TypeError, KeyError, yaml.YAMLError):
        raise InputError(f"{LOCK} is missing or not readable: run `dvc repro`") from None
    outs = {Path(out["path"]): out["md5"] for stage in stages.values() for out in stage.get("outs", [])}
    judged = {Path("data/raw.parquet"), *verdict.JUDGED["posttrain"], *verdict.REPORTS.values()}
    for path in sorted(judged):
        with path.open("rb") as stream:
            now = hashlib.file_digest(stream, "md5").hexdigest()
        if outs.get(path) != now:
            raise InputError(f"{path} is not the one in {LOCK}: run `dvc repro` (a stage was run by hand?)")


def workspace(params: config.Params) -> dict[str, Any]:
    """The lineage of the model that lies in this workspace. Raises InputError when a part is missing."""
    training = record.read_json(verdict.TRAINING)
    code = [path for folder in (verdict.PACKAGE.name, "tests/pretrain", "tests/posttrain")
            for path in Path(folder).rglob("*.py")]  # fmt: skip
    return {
        "digest": training["digest"],
        "recipe": training["recipe"],
        "git_commit": git("rev-parse", "HEAD"),
        "code_sha256": record.tree_sha256(code, Path()),
        "data_sha256": record.file_sha256(Path("data/raw.parquet")),
        "train_sha256": record.file_sha256(verdict.JUDGED["pretrain"][0]),
        "params_sha256": record.value_sha256(params.model_dump(mode="json", by_alias=True)),
        "schema_sha256": record.file_sha256(schema.PATH),
        "environment_sha256": environment(),
        "dvc_lock_sha256": record.file_sha256(LOCK),
    }
