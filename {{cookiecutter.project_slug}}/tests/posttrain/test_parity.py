"""Gate `parity`: every way to a prediction gives what the pipeline gives."""

import http.client
import json
import math
import os
import threading
import time

import numpy as np
import pytest

from {{ cookiecutter.project_slug }} import config, model, record
from {{ cookiecutter.project_slug }}.gates import metrics, reproduction, smoke, verdict
from {{ cookiecutter.project_slug }}.registry import bundles
from {{ cookiecutter.project_slug }}.serving import batch, serve, version
from {{ cookiecutter.project_slug }}.serving.app import TOKEN
from {{ cookiecutter.project_slug }}.serving.requests import Reader

#: Cases that are asked one at a time; the pipeline itself takes milliseconds for each.
SINGLE = 200


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """What serving reads of a version."""
    folder = tmp_path_factory.mktemp("bundle")
    bundles.serving(folder, {"digest": record.read_json(verdict.TRAINING)["digest"]})
    return folder


@pytest.fixture(scope="module")
def loaded(bundle):
    """The version as serving loads it."""
    return version.load(bundle)


@pytest.fixture(scope="module")
def address(bundle, cases, tmp_path_factory):
    """A server of the bundle on a free port, its prediction log elsewhere."""
    log = config.Log(folder=tmp_path_factory.mktemp("log"), seconds=1, keep_days=1, private={})
    settings = config.Serve(max_rows=len(cases), max_mb=1e3, max_seconds=60, max_requests=1, refresh_seconds=1,
                            shadow=False, log=log)  # fmt: skip
    program = serve.program(settings, bundle, max_age_days=1)
    door = serve.listen("127.0.0.1", 0)
    thread = threading.Thread(target=program.run, kwargs={"sockets": [door]})
    thread.start()
    while thread.is_alive() and not program.started:
        time.sleep(0.01)
    yield door.getsockname()
    program.should_exit = True
    thread.join()


def over_http(address, asked, contract):
    """What the server says of rows, (n,) or (n, K)."""
    reader = Reader(contract, len(asked))
    body = json.dumps([reader.example(row) for row in asked]).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {os.environ.get(TOKEN, '')}"}
    connection = http.client.HTTPConnection(*address, timeout=60)  # which knows no proxy
    connection.request("POST", "/predict", body, headers)
    found = json.load(connection.getresponse())["predictions"]
    return np.array([list(one["scores"].values()) if "scores" in one else one["score"] for one in found])


def in_a_batch(cases, loaded, contract, folder):
    """What `batch` writes of rows, (n,) or (n, K)."""
    record.write_parquet(cases[contract.inputs], folder / "in.parquet")
    batch.run(loaded, str(folder / "in.parquet"), folder / "out", lambda rows: None)
    return metrics.scores(record.read_parquet(folder / "out/part-00000.parquet"), "predicted", contract)


@pytest.fixture(scope="module")
def ways(loaded, address, cases, test, predicted, contract, params, tmp_path_factory):
    """By name: the positions among `cases` that it predicts, and how. A further way is a further line."""
    asked, every = version.requested(cases[contract.inputs]), np.arange(len(cases))
    some = smoke.evenly(len(cases), SINGLE)
    score, by = loaded.score, loaded.path
    folder = tmp_path_factory.mktemp("batch")
    return {
        "evaluate": (every, lambda: predicted[smoke.evenly(len(test), params.posttrain.cases)]),
        f"a table, by {by}": (every, lambda: score(cases)),
        f"a request of many rows, by {by}": (every, lambda: score(asked)),
        f"requests of one row, by {by}": (some, lambda: np.concatenate([score([asked[i]]) for i in some])),
        "a request of many rows, by frame": (every, lambda: version.by_frame(loaded.fitted, asked, contract)),
        "over HTTP": (every, lambda: over_http(address, asked, contract)),
        "in a batch": (every, lambda: in_a_batch(cases, loaded, contract, folder)),
    }


def distance(expected, way):
    """How far `way` is off, in units of the largest prediction where that is above 1, and what to say of it."""
    try:
        found = way()
    except Exception as error:  # whatever a way raises is a finding, and closes the gate
        return math.inf, f"fails ({type(error).__name__}: {model.first_line(error)})"
    largest = reproduction.difference(found, expected) / max(1, np.abs(expected).max())
    return largest, f"is off by up to {largest:.3g}"


@pytest.mark.gate("parity")
def test_every_way_predicts_what_the_pipeline_predicts(gate, ways, fitted, cases, contract):
    """`evaluate`'s file, and what a bundle says of a table, of requests, over HTTP and in a batch, within `tolerance`.

    The tolerance is that of sums in another order: trees agree to the last bit. It shows a function of `features.py`
    that looks at more than its row, whose answer depends on the rows beside it, and a value that a request reads
    otherwise than a table does. By `arrays` or by `frame` says which path serves. A green report holds no measured
    number, so that equal inputs give equal reports.
    """
    tolerance = gate.threshold("tolerance")
    expected = model.predict(fitted, cases, contract)
    for name, (positions, way) in ways.items():
        largest, said = distance(expected[positions], way)
        good = largest <= tolerance
        reason = f"{name}: as the pipeline predicts"
        if not good:
            reason = (f"{name}: {said}: let each function of features.py look at its own row alone, and serving read"
                      " values as the table has them")  # fmt: skip
        gate.judge(good, case=name, statistic=math.nan if good else largest, threshold=tolerance, rows=len(positions),
                   reason=reason)  # fmt: skip
