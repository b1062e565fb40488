"""Gate `row_accounting`: every row that was read is valid, quarantined, in train or in test, and counted once."""

from pathlib import Path

import pytest

from {{ cookiecutter.project_slug }} import record


@pytest.mark.gate("row_accounting")
def test_no_row_is_lost_between_stages(gate, train, test):
    """Rows read = valid + quarantined, and valid = train + test."""
    read = record.read_json(Path("reports/ingest.json"))["rows"]
    rows = record.read_json(Path("reports/validate.json"))["rows"]
    lost_first = read - rows["valid"] - rows["quarantined"]
    lost_second = rows["valid"] - len(train) - len(test)
    reason = f"{read} read, {rows['valid']} valid, {len(train)} train, {len(test)} test"
    if lost_first or lost_second:
        reason += f"; {lost_first + lost_second} rows unaccounted for: find the stage that drops or repeats them"
    gate.judge(not lost_first and not lost_second, statistic=abs(lost_first) + abs(lost_second), threshold=0,
               rows=read, reason=reason)  # fmt: skip
