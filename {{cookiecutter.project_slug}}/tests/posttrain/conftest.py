"""What the gates after training share: blocks of the test set, its predictions, the model, and some of its rows."""

import pytest

from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.gates import intervals, metrics, smoke, verdict
from {{ cookiecutter.project_slug }}.registry import artefact


@pytest.fixture(scope="session")
def blocks(test, contract, params):
    """The unit of resampling of each test row."""
    return intervals.units(test, contract, params.gates.resample_by)


@pytest.fixture(scope="session")
def predicted(predictions, contract):
    """The model's predictions of the test rows, as `evaluate` wrote them."""
    return metrics.scores(predictions, "predicted", contract)


@pytest.fixture(scope="session")
def fitted():
    """The model, loaded from its file."""
    return artefact.load(verdict.MODEL, record.read_json(verdict.TRAINING)["digest"])


@pytest.fixture(scope="session")
def cases(test, params):
    """`posttrain.cases` test rows, evenly spread."""
    return test.iloc[smoke.evenly(len(test), params.posttrain.cases)]
