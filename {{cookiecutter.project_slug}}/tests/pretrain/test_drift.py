"""Gate `drift`: new rows lie no further from history than history lies from itself, and a margin."""

import numpy as np
import pytest

from {{ cookiecutter.project_slug }}.gates import drift, intervals


@pytest.mark.gate("drift")
def test_new_rows_are_like_history(gate, train, test, contract, params):
    """Kolmogorov-Smirnov distance (numbers), total variation (categories, classes) or difference of null rates.

    New rows are the test part, history is the training part. Each distance is at most `margin` above the largest one
    of any run of as many blocks from the rest of history (runs, since blocks depend: Kuensch 1989); with history
    shorter than two runs, of any half of it. Fewer than `drift.LEAST` blocks are red: nothing says what is usual.
    """
    margin = gate.threshold("margin")
    blocks, fresh = (intervals.units(part, contract, params.gates.resample_by) for part in (train, test))
    units, new = len(np.unique(blocks)), len(np.unique(fresh))
    length = drift.run_length(units, new, (len(train), len(test)), params.split.by)
    found = drift.shifts(train, test, contract, blocks, length)
    if not found:
        gate.judge(False, statistic=units, threshold=drift.LEAST, rows=len(train), units=units,
                   reason=f"history has {units} blocks, fewer than {drift.LEAST}: they cannot say what is usual;"
                   " widen the window, take a shorter gates.resample_by, or take drift out of params.yaml")  # fmt: skip
    for shift in sorted(found, key=lambda one: one.usual - one.distance):
        limit = shift.usual + margin
        good = shift.distance <= limit
        reason = (
            f"{shift.name}: new rows lie {shift.distance:.3f} from history, runs of history up to {shift.usual:.3f}"
        )
        reason += "" if good else "; look for a changed unit, code or feed; if the world changed, shorten the history"
        gate.judge(good, case=shift.name, statistic=shift.distance, threshold=limit, rows=len(test), units=units,
                   reason=reason)  # fmt: skip
