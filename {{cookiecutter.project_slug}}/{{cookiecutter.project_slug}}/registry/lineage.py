"""Where a model comes from: commit, code, data, parameters, environment, pipeline, as hashes of what lies here."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from .. import config, document, record, schema
from ..errors import GateClosed, InputError
from ..gates import verdict
from ..git import git, repository

LOCK = Path("dvc.lock")
#: Where a bundle says on what machine it was registered.
MACHINE = Path("machine.json")
#: What decides a model and its verdict besides data and parameters: these must be committed before registration.
CODE = (verdict.PACKAGE.name, "tests/pretrain", "tests/posttrain", "dvc.yaml", "requirements.lock")


def require_repository() -> None:
    """Raise InputError outside a git repository that has a commit."""
    if not repository():
        raise InputError("this folder is not in a git repository: run `git init` first")


def require_committed() -> None:
    """Raise GateClosed when code that decides the model differs from the last commit."""
    changed = git("status", "--porcelain", "--untracked-files=all", "--", *CODE).splitlines()
    if changed:
        names = ", ".join(line[3:] for line in changed[:3])
        raise GateClosed(
            ["committed"], f"not committed: {names}; commit the code first, or nobody can make this model again"
        )


def environment() -> str:
    """SHA-256 over Python's minor version and every installed distribution with its version."""
    installed = sorted(f"{name}=={version}".lower() for name, version in packages().items())
    return record.value_sha256([list(sys.version_info[:2]), installed])


def packages() -> dict[str, str]:
    """Version of each installed distribution, by its name in lower case, sorted."""
    return dict(sorted((found.name.lower(), found.version) for found in metadata.distributions()))


def machine() -> dict[str, Any]:
    """What may change the last digits of a number: Python, system, CPU, BLAS kernel, and each package's version."""
    import scipy.linalg  # noqa: F401  scipy's BLAS is not NumPy's: both must be loaded to be seen
    import threadpoolctl

    kernels = {"{internal_api} {version} {architecture}".format_map(defaultdict(str, found))
               for found in threadpoolctl.threadpool_info() if found["user_api"] == "blas"}  # fmt: skip
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu(),
        "blas": ", ".join(sorted(kernels)),
        "packages": packages(),
    }


def cpu() -> str:
    """The processor's name: Linux keeps it in a file, elsewhere Python knows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def require_lock() -> None:
    """Raise GateClosed unless `dvc.lock` describes the code, parameters, data, model and reports that lie here.

    A stage that was run by hand, a stopped pipeline, or an edit since leaves something else. DVC hashes with MD5.
    Folders are left to the verdicts, whose own hashes cover the gates.
    """
    try:
        stages = document.parse(LOCK.read_text(encoding="utf-8"))["stages"].values()
        outs = {Path(out["path"]): out["md5"] for stage in stages for out in stage.get("outs", [])}
        code = {Path(dep["path"]): dep["md5"] for stage in stages for dep in stage["deps"] if is_code(dep["path"])}
        params = [block for stage in stages for block in stage.get("params", {}).get(str(config.PATH), {}).items()]
    except (OSError, AttributeError, TypeError, KeyError, YAMLError):
        raise InputError(f"{LOCK} is missing or not readable: run `dvc repro`") from None
    judged = {Path("data/raw.parquet"), *verdict.JUDGED["posttrain"], *verdict.REPORTS.values()}
    expected = code | {path: outs.get(path) for path in judged}
    for path in sorted(expected):
        if not path.is_file() or md5(path) != expected[path]:
            raise GateClosed(["lock"], f"{path} is not the one in {LOCK}: run `dvc repro`")
    tree = document.parse(config.PATH.read_text(encoding="utf-8"))
    for key, value in params:
        if at(tree, key) != value:
            raise GateClosed(["lock"], f"{key} in {config.PATH} is not the one in {LOCK}: run `dvc repro`")


def is_code(path: str) -> bool:
    """Tell whether a dependency of a stage is a module or the data contract, rather than data."""
    return path.endswith(".py") or Path(path) == schema.PATH


def md5(path: Path) -> str:
    """MD5 of a file's bytes, hexadecimal: DVC's name for it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def at(tree: Any, key: str) -> Any:
    """The value at a dotted key of nested mappings, or None."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


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
