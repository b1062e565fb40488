"""Gate `latency`: predicting takes no more than so many times what a plain linear model takes."""

import pytest

from {{ cookiecutter.project_slug }}.gates import latency

ROUNDS = 10


@pytest.mark.gate("latency")
def test_predicting_is_fast_enough(gate, cases, fitted, contract):
    """The least time of a batch over rounds, in turns with a plain linear model, is at most `max_ratio` times its.

    A ratio in one run, by least times (Chen and Revels 2016): both sides see the same machine and load. A green
    report holds no measured number, so that equal inputs give equal reports.
    """
    most = gate.threshold("max_ratio")
    ratio = latency.ratio(fitted, cases, contract, ROUNDS)
    good = ratio <= most
    reason = f"predicting {len(cases)} rows takes at most {most:g} times as long as a plain linear model"
    if not good:
        reason = (f"predicting {len(cases)} rows takes {ratio:.1f} times as long as a plain linear model: vectorise"
                  " features.py, or make the model smaller")  # fmt: skip
    gate.judge(good, statistic=float("nan") if good else ratio, threshold=most, rows=len(cases), reason=reason)
