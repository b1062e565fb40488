"""The page: `reports/report.html`, one file that needs no network, the verdict first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import record, workspace
from ..gates import report
from . import card, change, views
from .reading import NAME, Run, command, judged, read, sound

OUT = Path("reports/report.html")
#: The parts in their order: name, title, the report that it reads, and what it shows.
PARTS = (
    ("gates", "Gates", "posttrain", views.gates), ("metrics", "Metrics", "evaluate", views.measured),
    ("rivals", "Champion against challenger", "promotion", views.rivals),
    ("slices", "Slices", "posttrain", views.slices),
    ("quality", "Calibration and ranking", "evaluate", views.quality),
    ("importance", "Importance of inputs", "training", views.importance),
    ("data", "Data", "training", views.data), ("change", "Change of the data", "pretrain", views.change),
    ("drift", "Drift in use", "monitor", views.drift), ("loop", "The loop", "loop", views.loop),
    ("origin", "Lineage", "training", views.origin),
)  # fmt: skip
#: How words of verdicts and decisions look.
WORDS = {
    **dict.fromkeys(("pass", "quiet", "promoted", "unchanged", "healthy"), "good"),
    **dict.fromkeys(("fail", "alarm", "halted", "missing", "skipped", "xfailed", "undeclared"), "bad"),
    **dict.fromkeys(("insufficient", "refused", "retrain", "watch"), "warn"),
}


def decided(run: Run, name: str, phrase: str) -> tuple[str, str, str]:
    """What a report decides, as a part of the sentence (`phrase`) and in short, and how good that is."""
    found = run.reports.get(name)
    if found is None:
        return f"no {name} has run" if name == "promotion" else f"the {name} has not run", "not run", ""
    said = "champion already" if found["decision"] == "unchanged" else found["decision"]
    said += f" ({', '.join(found['gates'])})" if found.get("gates") else ""
    said = f"would be {said}" if found.get("dry_run") and said == "promoted" else said
    said += " (another model)" * (name in run.stale)
    return phrase.format(said), said, "warn" if name in run.stale else WORDS[found["decision"]]


def whole(run: Run) -> tuple[str, str, list[tuple[str, str, str]]]:
    """The verdict in one sentence, its state, and what gates, promotion and monitor add to it."""
    text, state = judged(run)
    found = [("Gates", text, text, state)]
    for title, phrase in (("Promotion", "the challenger was {}"), ("Monitor", "the monitor says {}")):
        with sound(title.lower()):
            found.append((title, *decided(run, title.lower(), phrase)))
    states = [state for *_, state in found]
    sentence = "; ".join(phrase for _, phrase, _, _ in found)
    worst = "bad" if "bad" in states else "warn" if "warn" in states else "good"
    return sentence[0].upper() + sentence[1:] + ".", worst, [(title, said, state) for title, _, said, state in found]


def coded(text: str) -> Any:
    """Text whose parts between backquotes are code; all of it is escaped."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if odd % 2 else escape(part)
                           for odd, part in enumerate(parts))  # fmt: skip


def render(run: Run) -> str:
    """The page's HTML; every text is escaped but the pictures, which escape their own. Raises InputError."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                              loader=FileSystemLoader(Path(__file__).parent))  # fmt: skip
    environment.filters |= {"number": report.number, "coded": coded, "drawn": Markup}
    environment.globals |= {"words": WORDS, "command": command, "span": views.span}
    template, made = environment.get_template("parts.html"), []
    for name, title, source, view in PARTS:
        given = {"run": run, "reports": run.reports, "name": name, "title": title, "source": source}
        with sound(source):
            made.append((name, title, getattr(template.make_module(given | view(run)), f"show_{name}")()))
    sentence, state, parts = whole(run)
    return environment.get_template("page.html").render(
        project=NAME, run=run, sentence=sentence, state=state, parts=parts, made=made
    ) + "\n"  # fmt: skip


def main(against: str | None = None) -> int:
    """Write `reports/report.html`, and the generated parts of `docs/model_card.md`. Raises InputError.

    `against`: a commit; what this run changed since is written to `reports/change.md`. No stage is at work meanwhile.
    """
    with workspace.exclusive("report"):
        run = read()
        if against:
            change.write(run, against)
        text = render(run)
        with sound("evaluate"):
            filled = card.filled(run)
        record.write_text(OUT, text)
        if filled:
            record.write_text(card.CARD, filled)
    print(f"{OUT}: {whole(run)[0]}")
    print(f"{card.CARD}: {'filled from the run' if filled else 'left as it is: run `dvc repro` first'}")
    return 0
