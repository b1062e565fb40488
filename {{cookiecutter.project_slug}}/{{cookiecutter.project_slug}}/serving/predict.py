"""Score a table with the model of a bundle, by the code that the bundle carries.

`python -m <package>.serving.predict BUNDLE IN OUT`, run in the bundle's own `code` folder, so that a version
from before a change of `features.py` still predicts as it did.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .. import model, record, schema
from ..errors import InputError, StoreError
from ..registry import artefact


def score(bundle: Path, table: Path, out: Path) -> None:
    """Write the predictions of the rows of `table` (Parquet) to `out`, in order: column `predicted`, or one per class.

    Raises InputError when the table lacks a column that the bundle's schema reads.
    """
    import pandas as pd

    contract = schema.load(bundle / "schema.yaml")
    frame = record.read_parquet(table)
    missing = [name for name in contract.inputs if name not in frame]
    if missing:
        raise InputError(
            f"the champion reads {', '.join(missing)}, which schema.yaml no longer has: keep the column"
            " until a model without it is champion, or start anew with `promote --reset REASON`"
        )
    fitted = artefact.load(bundle / "model.skops")
    predicted = model.predict(fitted, frame, contract).reshape(len(frame), -1)
    record.write_parquet(pd.DataFrame(predicted, columns=contract.scores("predicted")), out)


def main(arguments: list[str]) -> int:
    """Score, or say in one line why not; the exit code is StoreError's own when the disk is why."""
    try:
        score(*(Path(argument) for argument in arguments))
    except StoreError as error:
        print(error, file=sys.stderr)
        return StoreError.CODE
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
