"""All faults, and the guards that stand outside `params.yaml: gates`.

Harms speak of roles and types in `schema.yaml`, not of one table's columns, so that they stay true when the table is
yours. Where a table has nothing that a fault breaks, another one has to trip its gate.
"""

from __future__ import annotations

import comparison
import feeds
import leaks
import process
import recipes
import watch

FAULTS = (*leaks.FAULTS, *feeds.FAULTS, *recipes.FAULTS, *process.FAULTS, *comparison.FAULTS, *watch.FAULTS)
#: What may refuse besides the gates: evidence, the comparison with the champion, and retraining without an end.
GUARDS = ("verdict", "lock", "committed", "digest", "rows", "superior", "non_inferior", "guardrail", "anchor",
          "rolled_back", "breaker", "card")  # fmt: skip
