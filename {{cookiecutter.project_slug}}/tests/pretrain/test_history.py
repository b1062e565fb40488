"""Gate `history`: the past stays as it was."""

from pathlib import Path

import pytest

from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.gates import history


@pytest.mark.gate("history")
def test_days_seen_before_hold_the_same_rows(gate, train, test, contract):
    """Rows and a hash of each day equal those of the last committed version whose pre-train verdict was `pass`.

    Only days whole in both windows are compared, and only when the same columns are covered; without such a version
    there is nothing to compare, and the report says the same, so that a fresh clone writes the same bytes. A change
    that was meant is listed under `accept`, a day or a month: `accept: {"2013-06-03": reason, "2013-07": reason}`.
    """
    accepted = [str(day) for day in gate.threshold("accept")]
    rows = len(train) + len(test)
    if contract.time is None:
        gate.judge(False, statistic=0, threshold=0, rows=rows,
                   reason="schema.yaml has no time column, so no day can be compared:"
                   " take history out of gates.pretrain in params.yaml and delete its test")  # fmt: skip
        return
    before = history.previous()
    days = history.changed(before, record.read_json(Path(history.DAYS)), accepted) if before else []
    reason = "days that an earlier version had hold the same rows"
    if days:
        named = ", ".join(days[:3]) + (", ..." if len(days) > 3 else "")
        reason = f"{len(days)} days differ from the last committed version ({named}): restore the source; if it was"
        reason += " corrected, list each day or month with its reason under gates.pretrain.history.accept"
    gate.judge(not days, statistic=len(days), threshold=0, rows=rows, reason=reason)
