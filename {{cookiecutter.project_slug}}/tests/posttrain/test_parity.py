"""Gate `parity`: every way to a prediction gives what the pipeline gives."""

import math

import numpy as np
import pytest

from {{ cookiecutter.project_slug }} import model
from {{ cookiecutter.project_slug }}.gates import reproduction, smoke, verdict
from {{ cookiecutter.project_slug }}.registry import golden
from {{ cookiecutter.project_slug }}.serving import rows, version

#: Cases that are asked one at a time; the pipeline itself takes milliseconds for each.
SINGLE = 200


@pytest.fixture(scope="module")
def arrays(fitted, contract):
    """The array path, where the server would take it; else None."""
    found = rows.compiled(fitted, contract)
    table, answers = golden.read(verdict.GOLDEN, contract)
    return found if found and version.proven(found, table, version.requested(table), answers) else None


@pytest.fixture(scope="module")
def ways(arrays, fitted, cases, test, predicted, contract, params):
    """By name: the positions among `cases` that it predicts, and how. A further way is a further line."""
    asked, every = version.requested(cases[contract.inputs]), np.arange(len(cases))
    some = smoke.evenly(len(cases), SINGLE)

    def by_frame(table):
        return version.by_frame(fitted, table, contract)

    serve, by = (arrays, "arrays") if arrays else (by_frame, "frame")
    return {
        "evaluate": (every, lambda: predicted[smoke.evenly(len(test), params.posttrain.cases)]),
        f"a table, by {by}": (every, lambda: serve(cases)),
        f"a request of many rows, by {by}": (every, lambda: serve(asked)),
        f"requests of one row, by {by}": (some, lambda: np.concatenate([serve([asked[i]]) for i in some])),
        "a request of many rows, by frame": (every, lambda: by_frame(asked)),
    }


def distance(expected, way):
    """How far `way` is off, in units of the largest prediction where that is above 1, and what to say of it."""
    try:
        found = way()
    except Exception as error:
        return math.inf, f"fails ({type(error).__name__}: {model.first_line(error)})"
    largest = reproduction.difference(found, expected) / max(1, np.abs(expected).max())
    return largest, f"is off by up to {largest:.3g}"


@pytest.mark.gate("parity")
def test_every_way_predicts_what_the_pipeline_predicts(gate, ways, fitted, cases, contract):
    """`evaluate`'s file, a table, a request of many rows and requests of one are the pipeline's, within `tolerance`.

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
