"""A bundle: the folder that a version carries, which is all that it takes to predict with it and to make it again."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import record, schema
from ..errors import InputError
from ..gates import verdict
from . import artefact, lineage

if TYPE_CHECKING:
    import pandas as pd

KEYS = "train_keys.parquet"
#: Reports that are not about the model alone.
NOT_OF_THE_MODEL = ("change.md", "faults.json", "loop.*", "monitor*", "promotion.json", "report.html", "reproduce.json")
#: Files of a bundle that MLflow writes, or adds to later.
NOT_OURS = frozenset({"MLmodel", "registered_model_meta"})


def serving(folder: Path, facts: dict[str, Any]) -> None:
    """The part of a bundle that answers: model, golden rows, decision threshold, contract and code."""
    for path in (verdict.MODEL, verdict.GOLDEN, verdict.TRAINING, schema.PATH):
        shutil.copy(path, folder)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(verdict.PACKAGE, folder / "code" / verdict.PACKAGE.name, ignore=ignored)
    record.write_json(folder / "lineage.json", facts)


def write(folder: Path, facts: dict[str, Any], train_keys: Any) -> None:
    """All that a version carries: model in MLflow's format, code, contract, parameters, pipeline, reports, keys.

    MLmodel is written by MLflow's own class rather than by `save_model`, which would dump the model anew.
    """
    import sklearn
    from mlflow.models import Model

    serving(folder, facts)
    for name in ("params.yaml", "dvc.lock", verdict.REFERENCE):
        shutil.copy(name, folder)
    shutil.copy("requirements-serve.lock", folder / "requirements.txt")
    shutil.copytree("reports", folder / "reports", ignore=shutil.ignore_patterns(*NOT_OF_THE_MODEL))
    record.write_json(folder / lineage.MACHINE, lineage.machine())
    record.write_parquet(train_keys, folder / KEYS)
    version = platform.python_version()
    (folder / "python_env.yaml").write_text(
        f"python: {version}\nbuild_dependencies: []\ndependencies: [-r requirements.txt]\n", encoding="utf-8"
    )
    meta = Model()
    trusted = sorted({*artefact.TRUSTED, *artefact.needed(verdict.MODEL)})
    meta.add_flavor("sklearn", pickled_model="model.skops", sklearn_version=sklearn.__version__,
                    serialization_format="skops", code="code", skops_trusted_types=trusted)  # fmt: skip
    meta.add_flavor("python_function", loader_module="mlflow.sklearn", model_path="model.skops",
                    predict_fn="predict" if facts["task"] == "regression" else "predict_proba", code="code",
                    python_version=version, env={"virtualenv": "python_env.yaml"})  # fmt: skip
    meta.save(folder / "MLmodel")


def content(folder: Path) -> str:
    """SHA-256 over the files of a bundle that decide what it predicts and what it was trained on."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return record.tree_sha256([path for path in files if path.name not in NOT_OURS], folder)


def row_keys(frame: pd.DataFrame, contract: schema.Schema) -> pd.Series:
    """A 64-bit name for each row, shape (n,): a hash of its key columns, or of all columns where no key is declared.

    Raises InputError when a key column is missing.
    """
    import pandas as pd

    missing = [name for name in contract.key if name not in frame]
    if missing:
        raise InputError(f"key column {missing[0]} is missing from the rows: keep it in schema.yaml")
    columns = contract.key or [name for name in contract.columns if name in frame]
    return pd.util.hash_pandas_object(frame[columns], index=False)
