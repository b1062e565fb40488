"""Rows of days that an earlier version of the data also had, held against what they were then.

A source that is corrected, loaded twice or joined anew changes the past in silence: metrics move and nobody knows
why. `ingest` writes a fingerprint of each day (rows and a hash of their values); here two such reports are compared
over the days that lie whole inside both windows.
"""

from __future__ import annotations

import json
from typing import Any

from ..git import committed

Report = dict[str, Any]
VERDICT, DAYS = "reports/pretrain.json", "reports/ingest.json"


def previous() -> Report | None:
    """`reports/ingest.json` of the last commit whose pre-train verdict is `pass`; None where there is none.

    Raises InputError where git fails.
    """
    for texts in committed(VERDICT, DAYS):
        try:
            verdict, days = (json.loads(text) for text in texts)
            if verdict["verdict"] == "pass" and days["days"]:
                return dict(days)
        except (ValueError, KeyError, TypeError):
            continue  # half-merged, or written before days were
    return None


def whole(report: Report, day: str) -> bool:
    """Tell whether all of `day` (YYYY-MM-DD) lies in the window of a report; open ends reach as far as its rows do.

    A day that a bound cuts is in part, and so is the last one of an open end while its rows still arrive.
    """
    start, end = str(report["start"]), str(report["end"])
    dated = [known for known in report["days"] if known[:1].isdigit()]
    after = min(dated, default="") <= day if start == "None" else start <= f"{day} 00:00:00"
    return after and (day < max(dated, default="") if end == "None" else day < end[:10])


def changed(before: Report, now: Report, accepted: list[str]) -> list[str]:
    """Days whose rows differ between two reports, in order, without those accepted by day or by month (YYYY-MM).

    A day that lost all its rows, or had none before, differs. Empty when the reports cover other columns or
    declare other types of them: nothing can be said then. Rows without a time belong to no day.
    """
    if before["covered"] != now["covered"]:
        return []
    days = sorted(day for day in {*before["days"], *now["days"]} if day[:1].isdigit())
    return [
        day
        for day in days
        if before["days"].get(day) != now["days"].get(day)
        and whole(before, day)
        and whole(now, day)
        and not {day, day[:7]} & set(accepted)
    ]
