"""The journal: an MLflow run for each training that really ran, found again by what went into it.

Nothing that a stage writes depends on it. If the store cannot be reached, that is one line of warning, and `register`
completes what is missing.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .. import config, record
from ..errors import StoreError
from ..gates import verdict
from . import tracking

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

#: Parameters that MLflow takes at once; one by one they take half a second.
BATCH = 100


def training_id(params: config.Params, training: dict[str, Any]) -> str:
    """What names a training, whenever and wherever it ran: its data, its parameters and the model they gave."""
    data = record.file_sha256(verdict.TRAIN)
    return record.value_sha256([data, verdict.stage_params(params, "train"), training["digest"]])


def training_run(found: MlflowClient, params: config.Params, training: dict[str, Any]) -> str:
    """The id of the finished run of this training, logged now if there is none.

    A run that a kill left unfinished is completed, so that there is one for each training; what it says stays.
    """
    from mlflow.entities import Param

    experiment, identity = tracking.experiment_id(found), training_id(params, training)
    runs = found.search_runs([experiment], filter_string=f"tags.training = '{identity}'")
    by_status = {run.info.status: run for run in runs}
    if "FINISHED" in by_status:
        return str(by_status["FINISHED"].info.run_id)
    tags = {"training": identity, "digest": training["digest"]}
    run = by_status.get("RUNNING") or found.create_run(experiment, tags=tags)
    run_id = str(run.info.run_id)
    said = flat(params.model_dump(mode="json", by_alias=True))
    # MLflow refuses another value for what is there, and parameters of gates may have changed since.
    missing = [Param(key, value[:500]) for key, value in said.items() if key not in run.data.params]
    for first in range(0, len(missing), BATCH):
        found.log_batch(run_id, params=missing[first : first + BATCH])
    for name, metric in training["inner_folds"].get("metrics", {}).items():
        found.log_metric(run_id, f"inner_{name}", metric["value"])
    found.set_terminated(run_id)
    return run_id


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested mapping by dotted key; names that MLflow does not admit lose those characters."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            found |= flat(value, f"{name}.")
        else:
            found["".join(c if c.isalnum() or c in "_-./ " else "_" for c in name)] = str(value)
    return found


def log(params: config.Params, training: dict[str, Any]) -> None:
    """Log a training that ran; on any failure say so in one line and go on, since nothing depends on it."""
    try:
        training_run(tracking.client(), params, training)
    except Exception as error:  # the journal must never fail a training
        said = str(error) if isinstance(error, StoreError) else str(tracking.unreachable(error))
        print(f"warning: this training is not journalled: {said}", file=sys.stderr)
