"""Gate `columns`: the columns are fit to learn from: none is constant, and new rows speak of what training knows."""

import pytest

from {{ cookiecutter.project_slug }}.gates import drift


@pytest.mark.gate("columns")
def test_columns_vary_and_new_categories_are_few(gate, train, test, contract):
    """In training no feature is (almost) one value, null included: at most `max_same` of the rows hold it.

    Of the test rows at most `max_unseen` have a category that training never saw. Both are plain shares, the checks
    that Breck et al. 2019 (Data Validation for Machine Learning) put before training.
    """
    most_same, most_unseen = gate.threshold("max_same"), gate.threshold("max_unseen")
    for name in contract.named("feature"):
        value, share = drift.commonest(train[name])
        good = share <= most_same
        reason = f"{name} is {'null' if value is None else value} in {share:.1%} of the training rows"
        reason += "" if good else "; mend the feed, or take the column out of schema.yaml"
        gate.judge(good, case=name, statistic=share, threshold=most_same, rows=len(train), reason=reason)
    for name in contract.features("category"):
        share = drift.unseen(train[name], test[name])
        good = share <= most_unseen
        reason = f"{share:.2%} of the test rows have a category of {name} that training never saw"
        reason += "" if good else "; mend its spelling in the source, or train on rows that hold it"
        gate.judge(good, case=f"{name} unseen", statistic=share, threshold=most_unseen, rows=len(test), reason=reason)
