"""The page: `reports/report.html`, one file that needs no network, the verdict first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import record
from ..gates import report
from . import card, operation, sections
from .reading import NAME, Run, Section, read

OUT = Path("reports/report.html")
TEMPLATE = Path(__file__).with_name("page.html")
#: The parts in their order, and the report that each reads.
PARTS = (
    (sections.gates, "posttrain"), (sections.measured, "evaluate"), (sections.rivals, "promotion"),
    (sections.slices, "posttrain"), (sections.quality, "evaluate"), (sections.inputs, "training"),
    (sections.data, "training"), (sections.change, "pretrain"), (operation.drift, "monitor"), (operation.loop, "loop"),
    (operation.origin, "training"),
)  # fmt: skip
#: How words of verdicts and decisions look.
WORDS = {
    **dict.fromkeys(("pass", "quiet", "promoted", "healthy", "good"), "good"),
    **dict.fromkeys(("fail", "alarm", "halted", "missing", "skipped", "xfailed", "undeclared", "bad"), "bad"),
    **dict.fromkeys(("insufficient", "refused", "retrain", "watch"), "warn"),
}
BADGED = ("verdict", "decision", "outcome")


def judged(run: Run) -> tuple[str, str]:
    """What the gates say, and how good that is."""
    found = run.gates()
    closed = [gate["gate"] for _, gate in found if gate["verdict"] != "pass"]
    if closed:
        return f"{len(closed)} of {len(found)} gates closed: {', '.join(closed)}", "bad"
    if any(stage in run.stale or stage not in run.reports for stage in report.REPORTS):
        return "the gates have not judged what lies here: run `dvc repro`", "warn"
    return f"all {len(found)} gates passed", "good"


def decided(run: Run, name: str, phrase: str, states: dict[str, str]) -> tuple[str, str, str]:
    """What a report decides, as a part of the sentence (`phrase`) and in short, and how good that is."""
    found = run.reports.get(name)
    if not found:
        return f"no {name} has run" if name == "promotion" else f"the {name} has not run", "not run", ""
    said = found["decision"] + (f" ({', '.join(found['gates'])})" if found.get("gates") else "")
    said = f"would be {said}" if found.get("dry_run") and said == "promoted" else said
    said += " (another model)" * (name in run.stale)
    return phrase.format(said), said, "warn" if name in run.stale else states.get(found["decision"], "good")


def whole(run: Run) -> tuple[str, str, list[tuple[str, str, str]]]:
    """The verdict in one sentence, its state, and what gates, promotion and monitor add to it."""
    text, state = judged(run)
    found = {"Gates": (text, text, state), "Promotion": decided(run, "promotion", "the challenger was {}", WORDS),
             "Monitor": decided(run, "monitor", "the monitor says {}", operation.DECISIONS)}  # fmt: skip
    states = [state for _, _, state in found.values()]
    sentence = "; ".join(phrase for phrase, _, _ in found.values())
    worst = "bad" if "bad" in states else "warn" if "warn" in states else "good"
    parts = [(title, said, state) for title, (_, said, state) in found.items()]
    return sentence[0].upper() + sentence[1:] + ".", worst, parts


def coded(text: str) -> Any:
    """Text whose parts between backquotes are code; all of it is escaped."""
    from markupsafe import Markup, escape

    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(Markup("<code>") + part + Markup("</code>") if i % 2 and i < len(parts) - 1 else
                           ("`" * (i % 2)) + part for i, part in enumerate(parts))  # fmt: skip


def render(run: Run, made: list[Section]) -> str:
    """The page's HTML; every text is escaped but the pictures, which escape their own."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"number": report.number, "coded": coded}
    sentence, state, parts = whole(run)
    facts = [("Task", run.contract.task), ("Target", run.contract.target)]
    if "training" in run.reports:
        trained: dict[str, Any] = run.reports["training"]
        facts += [("Estimator", trained["estimator"].rpartition(".")[2]), ("Model", trained["digest"][:12])]
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        name=NAME, sentence=sentence, state=state, parts=parts, sections=made, words=WORDS, badged=BADGED,
        facts=facts, drawn=Markup,
    ) + "\n"  # fmt: skip


def main() -> None:
    """Write `reports/report.html`, and the generated parts of `docs/model_card.md`. Raises InputError."""
    run = read()
    made = [sections.checked(make, name, run) for make, name in PARTS]
    text = sections.checked(lambda one: render(one, made), "posttrain", run)
    filled = sections.checked(card.filled, "evaluate", run)
    write(OUT, text)
    if filled:
        write(card.CARD, filled)
    print(f"{OUT}: {whole(run)[0]}")
    print(f"{card.CARD}: {'filled from the run' if filled else 'left as it is: run `dvc repro` first'}")


def write(path: Path, text: str) -> None:
    """Write text, whole or not at all."""
    record.write_atomically(path, lambda partial: partial.write_text(text, encoding="utf-8", newline="\n"))
