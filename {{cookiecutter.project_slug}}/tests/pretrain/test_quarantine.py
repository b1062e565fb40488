"""Gate `quarantine`: few rows break the contract. A flood of them is a change in the source, not noise."""

from pathlib import Path

import pytest

from {{ cookiecutter.project_slug }} import record


@pytest.mark.gate("quarantine")
def test_few_rows_are_quarantined(gate):
    """The share of quarantined rows, a plain count over all rows read, is at most `max_rate`.

    Counting what breaks the declared schema: Breck et al. 2019, Data Validation for Machine Learning.
    """
    report = record.read_json(Path("reports/validate.json"))
    limit = gate.threshold("max_rate")
    read, bad = report["rows"]["read"], report["rows"]["quarantined"]
    most = [f"{rule['column']}: {rule['rule']} ({rule['rows']})" for rule in report["rules"][:3]]
    reason = f"{bad} of {read} rows quarantined" + (f"; most often {'; '.join(most)}" if most else "")
    if bad > limit * read:
        reason += "; look at data/quarantine.parquet, mend the source or schema.yaml"
    gate.judge(bad <= limit * read, statistic=bad / read, threshold=limit, rows=read, reason=reason)
