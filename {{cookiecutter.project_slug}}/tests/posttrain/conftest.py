"""What the gates after training share: rows, outcomes and blocks of the test set."""

import pytest

from {{ cookiecutter.project_slug }}.gates import intervals


@pytest.fixture(scope="session")
def blocks(test, contract, params):
    """The unit of resampling of each test row."""
    return intervals.units(test, contract, params.gates.resample_by)
