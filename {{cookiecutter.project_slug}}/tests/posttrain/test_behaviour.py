"""Gate `behaviour`: predictions move, stay and lie as an expert would insist on."""

import pytest

from {{ cookiecutter.project_slug }} import model
from {{ cookiecutter.project_slug }}.errors import InputError
from {{ cookiecutter.project_slug }}.gates import behaviour
from {{ cookiecutter.project_slug }}.stages import validate


@pytest.mark.gate("behaviour")
def test_the_model_behaves_as_an_expert_expects(gate, cases, fitted, contract, params):
    """At most `max_failure_rate` of the cases fail an expectation of `params.yaml: posttrain`.

    Direction and invariance (`directions`; by more than `tolerance`) and minimum functionality, after Ribeiro et
    al. 2020, CheckList. A direction in which no case moves at all is red: the model ignores that input.
    """
    limit, tolerance = gate.threshold("max_failure_rate"), gate.threshold("tolerance")
    trial = behaviour.Trial(cases, contract, lambda rows: model.predict(fitted, rows, contract), validate.cast)
    try:
        findings = list(behaviour.findings(params.posttrain, trial, tolerance))
    except InputError as error:
        pytest.fail(str(error), pytrace=False)
    for found in findings:
        good = found.alive and found.rate <= limit
        reason = found.said + ("" if good else "; check features.py and the estimator's constraints")
        gate.judge(good, case=found.case, statistic=found.rate, threshold=limit, rows=len(cases), reason=reason)
