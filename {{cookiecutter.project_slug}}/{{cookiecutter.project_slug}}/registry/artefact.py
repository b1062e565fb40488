"""The model as a file: equal models give equal bytes, and no file is loaded unchecked.

The format is skops (a zip of arrays and a tree of plain types, no pickle). As skops writes it, the
file names objects by their memory address, lists sets in hash order and keeps stray memory, so that
two dumps of one model never agree. ``dump`` removes such accidents.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

from ..errors import GateClosed, InputError
from ..record import write_atomically

FEATURES = Path(__file__).resolve().parents[1] / "features.py"

# ADD A TYPE HERE, by the name the refusal prints, when your estimator needs one: read its source
# first. A type belongs here if loading it, and predicting with it, runs no code that the file
# chose. Never add eval, os, subprocess, operator, pickle or importlib: they run what they are told.
# skops itself already trusts scikit-learn's public estimators and plain Python and numpy values.
TRUSTED = frozenset(
    {
        # Tree nodes: scikit-learn does not check their bounds, so a forged file can crash the
        # process (not run code). The digest that ``load`` compares is what keeps forgeries out.
        "sklearn.tree._tree.Tree",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        # Boosting over categories checks its table through partial(check_array, ...); the
        # function inside a partial is checked on its own.
        "functools.partial",
        "sklearn.utils.validation.check_array",
        "numpy.dtype",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.calibration._TemperatureScaling",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.model_selection._split.GroupKFold",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedGroupKFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.model_selection._split.TimeSeriesSplit",
        "sklearn.utils._bunch.Bunch",
    }
)

# Immutable values: whether two of them are one object is an accident of the interpreter.
_VALUES = frozenset({"JsonNode", "TypeNode", "FunctionNode"})
# Attributes of scikit-learn's that no prediction depends on: how many cores fitted the model
# (binning, k-means) and a memory address (text vectorizers); with the value that replaces them.
_ACCIDENTS = {"n_threads": "1", "_n_threads": "1", "_stop_words_id": "0"}


def dump(model: Any, path: Path) -> None:
    """Write a fitted model to ``path``, old or new at any moment, byte for byte repeatable.

    Raises InputError for a model that skops cannot store or that ``load`` would refuse.
    """
    import skops.io

    try:
        data = _canonical(skops.io.dumps(model))
    except (RecursionError, TypeError) as error:
        raise InputError(
            f"the model cannot be stored: {_line(error)}; replace that part of it "
            "(a string for scoring= in boosting makes a model that holds itself)"
        ) from error
    _allowed(data, "the model")
    write_atomically(path, lambda partial: partial.write_bytes(data))


def digest(path: Path, features: Path = FEATURES) -> str:
    """Identity of a model: 64 hex digits over its file and the source of ``features.py``.

    The source belongs to it: a function of ``features.py`` is stored as an import path, so the
    same file predicts differently once that module is edited. Raises InputError if one is missing.
    """
    return _digest(_read(path), _read(features))


def load(path: Path, expected: str | None = None, features: Path = FEATURES) -> Any:
    """Read a model that ``dump`` wrote; ``expected`` is the digest it must have.

    Before anything of the file is built, raises GateClosed when it is not the expected one, InputError when
    it is missing, damaged, or holds a type that is not allowed.
    """
    import skops.io

    data = _read(path)
    if expected is not None and _digest(data, _read(features)) != expected:
        raise GateClosed(
            ["digest"],
            f"{path} and {features.name} are not the model recorded as {expected[:12]}: one of "
            "them was edited; restore both from its commit, or train again",
        )
    trusted = _allowed(data, str(path))
    try:
        return skops.io.loads(data, trusted=trusted)
    except Exception as error:  # whatever the constructors of another version may raise
        raise InputError(
            f"{path} does not load with the libraries installed here ({_line(error)}); "
            "install the lock it was trained with, or train again"
        ) from error


def needed(path: Path) -> list[str]:
    """Types in the file that skops does not trust by itself and this project does. Raises InputError."""
    return _allowed(_read(path), str(path))


def _digest(model: bytes, source: bytes) -> str:
    parts = (hashlib.sha256(part).digest() for part in (model, source))
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        hint = "run `dvc repro`, or restore it with `dvc pull` or git"
        raise InputError(f"{path} cannot be read ({error.strerror}): {hint}") from error


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


def _allowed(data: bytes, what: str) -> list[str]:
    """Return the types in ``data`` that skops does not trust and we do; refuse all others."""
    import skops.io

    try:
        names: list[str] = skops.io.get_untrusted_types(data=data)
    except Exception as error:  # a damaged file fails in as many ways as it has bytes
        hint = "fetch it again or train again"
        raise InputError(f"{what} is not a model file ({_line(error)}); {hint}") from error
    refused = [name for name in names if name not in TRUSTED and not _ours(name)]
    if refused:
        raise InputError(
            f"{what} holds types that are not allowed: {', '.join(refused)}; if you trust them, "
            "add them to TRUSTED in registry/artefact.py"
        )
    return names


def _ours(name: str) -> bool:
    """Tell whether ``name`` is defined in ``features.py``, not merely imported there."""
    package = __name__.rsplit(".", 2)[0]
    module, _, attribute = name.rpartition(".")
    if module != f"{package}.features":
        return False
    found = getattr(importlib.import_module(module), attribute, None)
    return getattr(found, "__module__", None) == module


def _canonical(data: bytes) -> bytes:
    """Rewrite a skops file without what depends on the process that wrote it."""
    with ZipFile(BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    tree = json.loads(files.pop("schema.json"))
    _settle(tree)
    members: dict[str, bytes] = {}
    _number(tree, files, members, {}, {})
    members["schema.json"] = json.dumps(tree, separators=(",", ":")).encode()
    buffer = BytesIO()
    with ZipFile(buffer, "w") as archive:  # stored, as skops does: zlib differs between builds
        for name in sorted(members):
            info = ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3  # Windows would write another number
            archive.writestr(info, members[name])
    return buffer.getvalue()


def _children(node: Any) -> list[Any]:
    values = node.values() if isinstance(node, dict) else node
    return [value for value in values if isinstance(value, (dict, list))]


def _loader(node: Any) -> str:
    """Kind of a skops node; empty for plain containers and a user's dict with that key."""
    kind = node.get("__loader__") if isinstance(node, dict) else None
    return kind if isinstance(kind, str) else ""


def _settle(node: Any) -> None:
    """From the leaves up: drop the ids of values, sort sets, reset the accidents."""
    for child in _children(node):
        _settle(child)
    kind = _loader(node)
    if kind in _VALUES:
        node.pop("__id__", None)
    elif kind == "SetNode":
        node["content"].sort(key=lambda item: re.sub(r'"__id__": \d+', "", json.dumps(item)))
    elif kind == "ObjectNode" and node["__module__"].startswith("sklearn."):
        state = (node.get("content") or {}).get("content")
        for name, value in _ACCIDENTS.items():
            if isinstance(state, dict) and name in state:
                state[name]["content"] = value


def _number(
    node: Any,
    files: dict[str, bytes],
    members: dict[str, bytes],
    ids: dict[int, int],
    names: dict[bytes, str],
) -> None:
    """Renumber ids and rename files in order of appearance; equal files become one."""
    if _loader(node) and "__id__" in node:
        node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
    if _loader(node) and "file" in node:
        suffix = Path(node["file"]).suffix
        content = files[node["file"]]
        content = _without_padding(content) if suffix == ".npy" else content
        node["file"] = names.setdefault(content, f"{len(names):06d}{suffix}")
        members[node["file"]] = content
    for child in _children(node):
        _number(child, files, members, ids, names)


def _without_padding(content: bytes) -> bytes:
    """Zero the gaps between the fields of tree nodes: in a model once loaded they are noise."""
    import numpy as np

    array = np.load(BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    clean = np.zeros(array.shape, array.dtype)
    for field in array.dtype.names:
        clean[field] = array[field]
    buffer = BytesIO()
    np.save(buffer, clean, allow_pickle=False)
    return buffer.getvalue()
