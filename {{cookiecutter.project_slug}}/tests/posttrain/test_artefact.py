"""Gate `artefact`: the model's file is all that a prediction needs, and not too large to ship."""

import pytest

from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import reproduction, verdict

MEGABYTE = 1e6


@pytest.mark.gate("artefact")
def test_the_file_predicts_in_a_clean_process(gate, test, predicted, contract):
    """The size is at most `max_mb` (10^6 bytes); a new process predicts as `evaluate` did, within `tolerance`.

    That process has the model's file, the schema and the inputs, as serving has: state that only lived in the
    training's memory or environment is missing there.
    """
    most, tolerance = gate.threshold("max_mb"), gate.threshold("tolerance")
    size = verdict.MODEL.stat().st_size / MEGABYTE
    reason = f"{verdict.MODEL} has {size:.3g} MB" + ("" if size <= most else f", more than {most:g}: make it smaller")
    gate.judge(size <= most, case="size", statistic=size, threshold=most, rows=len(test), reason=reason)
    try:
        again = reproduction.in_a_clean_process(test, contract)
    except InputError as error:
        pytest.fail(f"{error}: keep all that a prediction needs in the pipeline and features.py", pytrace=False)
    largest = reproduction.difference(again, predicted)
    good = largest <= tolerance
    reason = "a clean process predicts as evaluate did"
    if not good:
        reason = (f"a clean process predicts otherwise than evaluate did, by up to {largest:.3g}: keep chance and state"
                  " out of predicting, and run `dvc repro`")  # fmt: skip
    gate.judge(good, case="clean process", statistic=largest, threshold=tolerance, rows=len(test), reason=reason)
