"""A gate's evidence, without a child process."""

from __future__ import annotations

import pytest

from {{ cookiecutter.project_slug }}.gates import plugin


def test_a_gate_passes_only_when_all_it_judged_passed() -> None:
    """Every red case is in the message."""
    gate = plugin.Gate("g", {"limit": 2})
    assert gate.threshold("limit") == 2
    gate.judge(True, statistic=1, threshold=2, rows=3, reason="one")
    gate.conclude()
    gate.judge(False, statistic=3, threshold=2, rows=3, reason="three")
    gate.judge(False, statistic=4, threshold=2, rows=3, reason="four")
    with pytest.raises(pytest.fail.Exception, match="three; four"):
        gate.conclude()


def test_a_gate_without_evidence_fails() -> None:
    """Nothing judged, a threshold unread, a threshold that nobody declared."""
    gate = plugin.Gate("g", {"limit": 2, "other": 1})
    with pytest.raises(pytest.fail.Exception, match="g judged nothing"):
        gate.conclude()
    gate.judge(True, statistic=1, threshold=2, rows=3, reason="one")
    with pytest.raises(pytest.fail.Exception, match="never read its threshold limit, other"):
        gate.conclude()
    with pytest.raises(pytest.fail.Exception, match="no threshold more for gate g"):
        gate.threshold("more")
