"""The generated parts of `docs/model_card.md`, from the template `card.md`."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..gates import metrics, report
from ..registry import card
from . import views
from .pictures import plain
from .reading import Run

CARD = card.CARD
NEEDED = ("training", "split", "evaluate", "posttrain")


def filled(run: Run) -> str | None:
    """The card's text with its generated parts written anew; None where there is no card, or no run yet.

    Raises InputError for a part that nobody knows, or that is lacking.
    """
    if not CARD.is_file() or not set(NEEDED) <= set(run.reports):
        return None
    made = {name: tidy(text) for _, name, text, _ in card.BLOCK.findall(render(run))}
    made[card.SEAL] = tidy(f"\nSeal of these parts and of the reports that they were made of: `{card.seal(made)}`\n")
    text = CARD.read_text(encoding="utf-8")
    found = [name for _, name, _, _ in card.BLOCK.findall(text)]
    if sorted(found) != sorted(made):
        wrong = ", ".join(sorted(set(found) ^ set(made))) or "one stands twice"
        raise InputError(f"{CARD}: its generated parts must be {', '.join(made)} ({wrong}): restore it with git")
    return card.BLOCK.sub(lambda block: f"{block[1]}{made[block[2]]}{block[4]}", text)


def tidy(text: str) -> str:
    """Lines without a blank at their end, between empty ones."""
    return "\n" + "".join(f"{line.rstrip()}\n" for line in text.strip().splitlines()) + "\n"


def inert(value: object) -> str:
    """Text of the data's own in Markdown: in one line, no end of a cell, no markup that could end a part."""
    text = report.number(value) if isinstance(value, (int, float)) or value is None else str(value)
    return report.cell(plain(text)).replace("&", "&amp;").replace("<", "&lt;").replace("`", "'")


def render(run: Run) -> str:
    """All generated parts as the template has them."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=inert)
    template = environment.from_string(Path(__file__).with_name("card.md").read_text(encoding="utf-8"))
    accepted = [(name, why) for gate in (*run.params.gates.pretrain.values(), *run.params.gates.posttrain.values())
                for name, why in gate.get("accept", {}).items()]  # fmt: skip
    return template.render(run=run, contract=run.contract, params=run.params, accepted=accepted, models=views.MODELS,
                           primary=metrics.PRIMARY[run.contract.task], slices=views.slices(run)["listed"],
                           span=views.span, **{name: run.reports[name] for name in NEEDED})  # fmt: skip
