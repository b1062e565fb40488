"""Gate `refit`: the model is what its training rows and parameters give, and the predictions are that model's."""

import pytest

from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import reproduction


@pytest.mark.gate("refit")
def test_a_second_training_predicts_the_same(gate, train, test, predicted, contract, params):
    """Fitted again on the training rows alone, in an empty folder, it predicts the test rows within `tolerance`.

    Reproduction as a test: it shows a training on other rows, a statistic fitted on all of them, chance without a
    seed, a model file from elsewhere and edited predictions. A table found by an absolute path it does not show.
    """
    tolerance = gate.threshold("tolerance")
    try:
        again = reproduction.refitted(train, test, contract, params)
    except InputError as error:
        pytest.fail(f"{error}: fit on the rows that are given, and on nothing else", pytrace=False)
    largest = reproduction.difference(again, predicted)
    good = largest <= tolerance
    reason = "a second training on the training rows predicts the same"
    if not good:
        reason = (f"a second training on the training rows predicts otherwise, by up to {largest:.3g}: fit on those"
                  " rows alone, set random_state, and run `dvc repro`")  # fmt: skip
    gate.judge(good, statistic=largest, threshold=tolerance, rows=len(test), reason=reason)
