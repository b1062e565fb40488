"""Gate `row_accounting`: every row that was read is valid, quarantined, in train or in test, once and unchanged.

Training rows that a sample left out (`split.max_train_rows`) are accounted for by the split's report.
"""

from pathlib import Path

import pytest

from {{ cookiecutter.project_slug }} import record
from {{ cookiecutter.project_slug }}.gates import leakage


@pytest.fixture
def left_out(params, train):
    """How many rows the split says it drew none of; none count unless exactly `split.max_train_rows` are trained on."""
    sampled = record.read_json(Path("reports/split.json")).get("sampled", {"of": 0, "rows": 0})
    drawn = sampled["rows"] == len(train) == params.split.max_train_rows
    return sampled["of"] - sampled["rows"] if drawn else 0


@pytest.mark.gate("row_accounting")
def test_no_row_is_lost_between_stages(gate, train, test, left_out):
    """Rows read = valid + quarantined, and valid = train + test + what a sample of the training rows left out."""
    read = record.read_json(Path("reports/ingest.json"))["rows"]
    rows = record.read_json(Path("reports/validate.json"))["rows"]
    lost_first = read - rows["valid"] - rows["quarantined"]
    lost_second = rows["valid"] - len(train) - len(test) - left_out
    reason = f"{read} read, {rows['valid']} valid, {len(train)} train, {len(test)} test"
    reason += f", {left_out} not drawn" if left_out else ""
    if lost_first or lost_second:
        lost = abs(lost_first) + abs(lost_second)
        reason += f"; {lost} rows unaccounted for: find the stage that drops or repeats them"
    gate.judge(not lost_first and not lost_second, case="counts", statistic=abs(lost_first) + abs(lost_second),
               threshold=0, rows=read, reason=reason)  # fmt: skip


@pytest.mark.gate("row_accounting")
def test_rows_keep_their_values(gate, train, test, contract, left_out):
    """The rows of train and test, by a hash of each in no order, are those of data/valid.parquet.

    A scaler, imputer or encoder that was fitted on all rows before the split has changed them: training then knows
    the test rows (Kaufman et al. 2012, Leakage in Data Mining).
    """
    valid = record.read_parquet(Path("data/valid.parquet"))
    kept = [name for name, column in contract.columns.items() if column.role != "outcome"]
    rows, columns = leakage.changed(valid, [train, test], kept, left_out)
    reason = "train and test hold the values of data/valid.parquet"
    if rows:
        where = ", ".join(columns) or "whose values changed places"
        reason = f"{rows} rows are not those of data/valid.parquet ({where}): fit and fill in features.py, not before"
        reason += " or in the split"
    gate.judge(not rows, case="content", statistic=rows, threshold=0, rows=len(valid), reason=reason)
