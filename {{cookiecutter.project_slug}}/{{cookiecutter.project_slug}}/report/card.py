"""The generated parts of `docs/model_card.md`: what the run knows, by the name of the part."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..gates import metrics
from ..gates.report import number, table
from ..registry import card
from .pictures import plain
from .reading import Run
from .sections import interval, sliced, span

CARD = card.CARD


def filled(run: Run) -> str | None:
    """The card's text with its generated parts written anew; None where there is no card, or no run yet.

    Raises InputError for a part that nobody knows, or that is lacking.
    """
    if not CARD.is_file() or not {"training", "evaluate", "posttrain"} <= set(run.reports):
        return None
    parts = {name: tidy(lines) for name, lines in contents(run).items()}
    parts[card.SEAL] = tidy([f"Seal of these parts and of the reports that they were made of: `{card.seal(parts)}`"])
    text = CARD.read_text(encoding="utf-8")
    found = [name for _, name, _, _ in card.BLOCK.findall(text)]
    if sorted(found) != sorted(parts):
        wrong = ", ".join(sorted(set(found) ^ set(parts))) or "one stands twice"
        raise InputError(f"{CARD}: its generated parts must be {', '.join(parts)} ({wrong}): restore it with git")
    return card.BLOCK.sub(lambda block: f"{block[1]}{parts[block[2]]}{block[4]}", text)


def tidy(lines: list[str]) -> str:
    """Lines as a part of the card: no markup of the data's own, no blank at the end of a line."""
    escaped = (plain(line).replace("&", "&amp;").replace("<", "&lt;") for line in lines)
    return "\n" + "".join(f"{line}\n" for line in escaped) + "\n"


def facts(pairs: dict[str, Any]) -> list[str]:
    """A list of facts."""
    return [f"- {name}: {value if isinstance(value, str) else number(value)}" for name, value in pairs.items()]


def contents(run: Run) -> dict[str, list[str]]:
    """The lines of each part."""
    training, found, params = run.reports["training"], run.reports["evaluate"], run.params
    task, split = run.contract.task, run.reports.get("split", {})
    models = ("model", "linear", "dummy")
    judged = [[gate["gate"], stage, gate["verdict"], gate["reason"]] for stage, gate in run.gates()]
    slices = sliced(run)
    parts = [[mark.label, number(mark.value), span(mark), number(case["rows"]), mark.state] for mark, case in slices]
    accepted = {name: why for gate in (*params.gates.pretrain.values(), *params.gates.posttrain.values())
                for name, why in gate.get("accept", {}).items()}  # fmt: skip
    unsure = [mark.label for mark, _ in slices if mark.state == "insufficient"]
    cost = params.train.cost
    binary = {
        "decision threshold": training["threshold"],
        "cost of a false positive, of a false negative": f"{cost.false_positive:g}, {cost.false_negative:g}",
    } if task == "binary" else {}  # fmt: skip
    return {
        "details": facts({
            "task": f"{task}, of `{run.contract.target}`", "estimator": f"`{training['estimator']}`",
            "digest of the model": f"`{training['digest']}`", "digest of the recipe": f"`{training['recipe']}`",
            "inputs": ", ".join(f"`{name}`" for name in run.contract.inputs),
        }),
        "factors": facts({
            "slices": ", ".join(f"`{name}`" for name in params.evaluate.slices) or "none are declared",
            "rows that belong together": f"`{params.gates.resample_by}`",
        }),
        "metrics": facts({
            "what decides": metrics.PRIMARY[task], "bounds": f"one-sided, {params.gates.confidence:.0%}, over blocks",
        } | binary),
        "evaluation_data": facts({
            "test rows": found["rows"], "blocks": found["units"], "chosen by": split.get("by", "–"),
            "first": split.get("first_test_time", "–"),
        }),
        "training_data": facts({
            "source": params.ingest.source, "training rows": training["rows"],
            "window": f"{params.ingest.start or 'open'} to {params.ingest.end or 'open'}",
        }),
        "results": [
            *table(["metric", *models], [[name, *(interval(found[one][name]) for one in models)]
                                         for name in found["model"]]),
            "", *table(["gate", "stage", "verdict", "finding"], judged),
            *(["", *table(["slice", "gain on the dummy", "interval", "rows", "verdict"], parts)] if parts else []),
        ],
        "caveats": facts({"slices with too few rows to tell": ", ".join(unsure)} if unsure else {})
        + facts({f"accepted, {name}": str(why) for name, why in accepted.items()})
        or ["Nothing was accepted by exception, and every slice has rows enough."],
    }  # fmt: skip
