"""Gate `split_leak`: the test rows are rows that training does not know."""

import pytest

from {{ cookiecutter.project_slug }}.gates import leakage


@pytest.mark.gate("split_leak")
def test_train_and_test_are_apart(gate, train, test, contract, params):
    """No key, no entity and no day on both sides; rows with equal inputs at most at `max_duplicate_rate`.

    Counts over hashes of rows; the ways to leak are those of Kapoor and Narayanan 2023 (Leakage and the
    reproducibility crisis in machine-learning-based science).
    """
    limit = gate.threshold("max_duplicate_rate")
    found = leakage.overlap(train, test, contract, params.split.by)
    for name, count in (("keys", found.keys), ("groups", found.groups), ("misordered", found.misordered)):
        reason = (
            f"{count} test rows share {name} with training"
            if name != "misordered"
            else (f"{count} test rows do not lie after all training rows")
        )
        reason += "; mend the split" if count else ""
        gate.judge(count == 0, case=name, statistic=count, threshold=0, rows=len(test), reason=reason)
    rate = found.duplicates / len(test)
    reason = f"{found.duplicates} test rows have inputs equal to a training row"
    reason += "; drop duplicates in the source, or split by group" if rate > limit else ""
    gate.judge(rate <= limit, case="duplicates", statistic=rate, threshold=limit, rows=len(test), reason=reason)
