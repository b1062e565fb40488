"""The model file: equal bytes for equal models, and nothing unchecked is ever built."""

from __future__ import annotations

import operator
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, TweedieRegressor
from sklearn.model_selection import KFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, TargetEncoder

from {{ cookiecutter.project_slug }}.errors import GateClosed, InputError
from {{ cookiecutter.project_slug }}.registry import artefact

PACKAGE = artefact.__name__.rsplit(".", 2)[0]
ROOT = Path(artefact.__file__).parents[2]

# A forest, boosting over categories, a set, bytes and shared objects: whatever carries an address,
# a hash order, a random name or a number of cores into a plain skops file.
FIT_AND_DUMP = """
import importlib, sys
from pathlib import Path
import numpy as np, pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
artefact = importlib.import_module(sys.argv[1])
rng = np.random.default_rng(0)
x = pd.DataFrame(dict(a=rng.normal(size=300), b=pd.Categorical(rng.choice(list("pqr"), 300))))
y = (x.a > 0).astype(int)
boosting = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(x, y)
forest = RandomForestClassifier(5, n_jobs=2, random_state=0).fit(x[["a"]], y)
boosting.places_, boosting.note_ = set(["EWR", "JFK", "LGA", "TEB", "HPN"]), b"bytes"
boosting.forest_, boosting.same_ = forest, [forest, forest, (1.5, "x")]
artefact.dump(boosting, Path(sys.argv[2]))
"""
# The process ends between writing the new file and putting it in place.
DUMP_AND_DIE = """
import importlib, os, sys
from pathlib import Path
artefact = importlib.import_module(sys.argv[1])
os.replace = lambda *paths: os._exit(9)
artefact.dump([2], Path(sys.argv[2]))
"""


def child(script: str, path: Path, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", script, artefact.__name__, str(path)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment)


def table(rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = np.abs(rng.normal(size=(rows, 3)))
    return x, (x[:, 0] > 0.7).astype(int)


def refusal(call: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """Return the message of the refusal, which must be one line."""
    with pytest.raises((GateClosed, InputError)) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def features(tmp_path: Path) -> Path:
    path = tmp_path / "features.py"
    path.write_text("SCALE = 1\n")
    return path


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model" / "model.skops"
    artefact.dump(LogisticRegression().fit(*table()), path)
    return path


@pytest.fixture
def nothing_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if anything of a file is constructed."""

    def built(*args: object, **kwargs: object) -> None:
        pytest.fail("the file was loaded before it was refused")

    monkeypatch.setattr(skops.io, "loads", built)
    monkeypatch.setattr(skops.io, "load", built)


def test_two_processes_write_the_same_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / "one.skops", tmp_path / "two.skops"]
    first = child(FIT_AND_DUMP, paths[0], PYTHONHASHSEED="1", OMP_NUM_THREADS="1")
    second = child(FIT_AND_DUMP, paths[1], PYTHONHASHSEED="2", OMP_NUM_THREADS="2")
    assert (first.wait(), second.wait()) == (0, 0)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    again = artefact.load(paths[0])
    assert again.places_ == {"EWR", "JFK", "LGA", "TEB", "HPN"}
    assert again.note_ == b"bytes"
    assert again.same_[0] is again.same_[1] is again.forest_
    artefact.dump(again, paths[1])
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        LinearRegression(),
        Ridge(),
        TweedieRegressor(),
        DummyClassifier(),
        KMeans(2, random_state=0, n_init=1),
        RandomForestClassifier(3, random_state=0),
        RandomForestRegressor(3, random_state=0),
        HistGradientBoostingClassifier(max_iter=3),
        HistGradientBoostingRegressor(max_iter=3, categorical_features=[2]),
        make_pipeline(FunctionTransformer(np.log1p), OneHotEncoder(), LogisticRegression()),
        make_pipeline(TargetEncoder(cv=KFold(2)), Ridge()),
        CalibratedClassifierCV(LogisticRegression(), cv=TimeSeriesSplit(2)),
        CalibratedClassifierCV(LogisticRegression(), cv=2, method="isotonic"),
        VotingClassifier([("a", LogisticRegression())], voting="soft"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_loaded_model_predicts_the_same(model: Any, tmp_path: Path, features: Path) -> None:
    x, y = table()
    x[:, 2] = np.arange(len(x)) % 3
    path = tmp_path / "model.skops"
    artefact.dump(model.fit(x, y), path)
    loaded = artefact.load(path, artefact.digest(path, features), features)
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    if hasattr(model, "predict_proba"):
        np.testing.assert_array_equal(loaded.predict_proba(x), model.predict_proba(x))


def test_columns_chosen_by_type_are_stored(tmp_path: Path) -> None:
    chosen = make_column_selector(dtype_include="number")
    artefact.dump(ColumnTransformer([("all", OneHotEncoder(), chosen)]), tmp_path / "m.skops")
    assert artefact.load(tmp_path / "m.skops").transformers[0][2].dtype_include == "number"


def test_the_digest_covers_the_file_and_the_features(saved: Path, features: Path) -> None:
    before = artefact.digest(saved, features)
    assert len(before) == 64
    assert artefact.digest(saved, features) == before
    features.write_text("SCALE = 2\n")
    after = artefact.digest(saved, features)
    assert after != before
    artefact.dump(LogisticRegression(C=0.1).fit(*table()), saved)
    assert artefact.digest(saved, features) not in (before, after)


def test_the_digest_is_of_this_package_by_default() -> None:
    assert ROOT / PACKAGE / "features.py" == artefact.FEATURES


@pytest.mark.usefixtures("nothing_built")
def test_edited_features_are_refused(saved: Path, features: Path) -> None:
    expected = artefact.digest(saved, features)
    features.write_text("SCALE = 2\n")
    message = refusal(artefact.load, saved, expected, features)
    assert expected[:12] in message
    assert "features.py" in message


@pytest.mark.usefixtures("nothing_built")
@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_changed_byte_is_refused(saved: Path, features: Path, place: int) -> None:
    expected = artefact.digest(saved, features)
    data = bytearray(saved.read_bytes())
    data[place] ^= 1
    saved.write_bytes(data)
    assert expected[:12] in refusal(artefact.load, saved, expected, features)


@pytest.mark.usefixtures("nothing_built")
def test_a_damaged_file_is_refused_without_a_digest(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:200])
    assert "is not a model file" in refusal(artefact.load, saved)


def test_what_is_missing_is_named(saved: Path, tmp_path: Path, features: Path) -> None:
    nowhere = tmp_path / "nowhere"
    assert str(nowhere) in refusal(artefact.load, nowhere)
    assert str(nowhere) in refusal(artefact.digest, nowhere, features)
    assert str(nowhere) in refusal(artefact.digest, saved, nowhere)
    assert str(nowhere) in refusal(artefact.load, saved, "0" * 64, nowhere)


HOSTILE = [
    (os.system, f"{os.name}.system"),
    (eval, "builtins.eval"),
    (exec, "builtins.exec"),
    (__import__, "builtins.__import__"),
    (getattr, "builtins.getattr"),
    (subprocess.check_output, "subprocess.check_output"),
    (operator.methodcaller("clear"), "operator.methodcaller"),
    (operator.attrgetter("real"), "operator.attrgetter"),
    (Path("a").unlink, "pathlib."),
]


@pytest.mark.usefixtures("nothing_built")
@pytest.mark.parametrize(("function", "name"), HOSTILE, ids=[name for _, name in HOSTILE])
def test_a_type_that_is_not_allowed_is_refused(function: Callable[..., object], name: str, tmp_path: Path) -> None:
    model = FunctionTransformer(function)
    path = tmp_path / "model.skops"
    assert name in refusal(artefact.dump, model, path)
    assert not path.exists()
    skops.io.dump(model, path)
    message = refusal(artefact.load, path)
    assert name in message
    assert "TRUSTED" in message


@pytest.fixture
def own_features(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Stand in for features.py: it defines ``double`` and imports ``system``."""
    module = ModuleType(PACKAGE + ".features")
    source = "from os import system\ndef double(x):\n    return 2 * x\n"
    exec(source, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_functions_of_features_are_allowed(own_features: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    artefact.dump(FunctionTransformer(own_features.double), path)
    assert artefact.load(path).transform(3) == 6


@pytest.mark.parametrize(("old", "new"), [("double", "system"), (".features", ".features.deeper")])
def test_what_features_only_imports_is_refused(old: str, new: str, own_features: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    skops.io.dump(FunctionTransformer(own_features.double), path)
    with ZipFile(path) as archive:
        tree = archive.read("schema.json").decode()
    assert old in tree
    with ZipFile(path, "w") as archive:
        archive.writestr("schema.json", tree.replace(old, new))
    assert PACKAGE + ".features." in refusal(artefact.load, path)


def test_a_model_that_holds_itself_is_refused(tmp_path: Path) -> None:
    model = BaseEstimator()
    model.itself_ = model
    assert "cannot be stored" in refusal(artefact.dump, model, tmp_path / "model.skops")


def test_other_libraries_are_blamed_in_one_line(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise AttributeError("no such class\nin this version")

    monkeypatch.setattr(skops.io, "loads", fails)
    assert "AttributeError: no such class" in refusal(artefact.load, saved)


def test_a_killed_dump_leaves_the_old_model(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    artefact.dump([1], path)
    assert child(DUMP_AND_DIE, path).wait() == 9
    assert artefact.load(path) == [1]
    artefact.dump([2], path)
    assert artefact.load(path) == [2]
