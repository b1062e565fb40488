"""What goes wrong between a model and the champion: no new rows, no gain, luck, and small losses that add up."""

from __future__ import annotations

import json
import re

import pandas as pd
from project import PACKAGE, Absent, Copy, Fault, Unharmed


def back_in_time(copy: Copy) -> None:
    """The window ends where the champion's training rows end, so that it knows all test rows."""
    first = json.loads((copy.root / "reports/split.json").read_text(encoding="utf-8")).get("first_test_time")
    if not first:
        raise Absent("the split has no first test time")
    copy.settings(lambda tree: tree["ingest"].update(end=first[:10]))
    copy.must("dvc repro")
    copy.commit()


def as_it_is(_: Copy) -> None:
    """The prepared copy is the fault."""


def keep_trying(copy: Copy) -> None:
    """A challenger that wins when it is looked at once comes after fifty others on the same rows."""
    copy.must("promote --reset weaker")
    copy.git("checkout", "-q", "HEAD~1", "--", ".")
    copy.must("dvc checkout")
    copy.commit()
    once = copy.clone(copy.root.parent / "once").run("promote --dry-run")
    if once.code:
        raise Absent(f"the recipe here is not so much better that one look shows it ({once.said})")
    copy.python(LOOKS)


def promote_again(copy: Copy) -> None:
    """The model was promoted, disappointed, and was rolled back; the next promotion runs as ever."""
    copy.must("promote --reset weaker", "rollback")


def retrain(copy: Copy, rows: str) -> None:
    """The window moves on by a day, and the training takes `rows`, an expression of its rows `frame`."""
    copy.settings(lambda tree: tree["ingest"].update(
        end=str((pd.Timestamp(tree["ingest"]["end"]) + pd.Timedelta(days=1)).date())))  # fmt: skip
    path = copy.root / PACKAGE / "stages/train.py"
    head, mark, body = path.read_text(encoding="utf-8").partition(READ)
    if not mark:
        raise Unharmed(f"train.py no longer holds {READ!r}: mend the fault")
    body = re.sub(r"^ {4}frame = .* # harm\n", "", body)
    path.write_text(f"{head}{mark}    frame = {rows} # harm\n{body}", encoding="utf-8")
    copy.must("dvc repro")
    copy.commit()


def guess(copy: Copy, share: float) -> None:
    """A share of the training labels is that of an earlier row; with a larger share, those and more."""
    target = copy.columns("target")[0]
    other = f'np.roll(frame["{target}"], 1009)'
    retrain(
        copy, f'frame.assign({target}=frame["{target}"].where(np.arange(len(frame)) % 97 >= {97 * share}, {other}))'
    )


def lose_little_by_little(copy: Copy) -> None:
    """Each retraining is a little worse than the one before, until one is refused, five times at most."""
    for step in range(1, 6):
        guess(copy, 0.06 * step)
        if copy.run("promote").code:
            return
    raise Unharmed("five small losses were let through: mend the fault, or the guard")


def silence_category(copy: Copy) -> None:
    """The training rows of one rare category are loaded many times over, all with the first answer."""
    target, category = copy.columns("target")[0], copy.columns("feature", "category")[-1]
    value = (
        (pd.read_parquet(copy.root / "data/test.parquet")[category].value_counts(normalize=True) - 0.04).abs().idxmin()
    )
    values = copy.declared[target].get("values")
    if not values:
        raise Absent("the target declares no values")
    again = f'frame[frame["{category}"] == {value!r}].assign({target}={values[0]!r})'
    retrain(copy, f'__import__("pandas").concat([frame, *[{again}] * 20])')


def read_shell(copy: Copy) -> None:
    """features.py scales by a variable of the shell, and the shell that promotes has another one."""
    copy.code("features.py", 'dtype="float64")', 'dtype="float64") * float(__import__("os").environ.get("UNIT", 1))')
    copy.must("dvc repro")
    copy.commit()
    copy.variables["UNIT"] = "0.001"


def write_card(copy: Copy) -> None:
    """Every question of the model card is answered, and its figures are those of this model."""
    path = copy.root / CARD
    path.write_text(re.sub(r"\*\*To be written:\*\*[^\n]*(\n[^\n#<]+)*", "As the team sees it.",
                           path.read_text(encoding="utf-8")), encoding="utf-8")  # fmt: skip
    copy.must("report")


def leave_blank(copy: Copy) -> None:
    """One question of the model card is put off."""
    write_card(copy)
    copy.edit(CARD, "## Ethical considerations\n", "## Ethical considerations\n\n**To be written:** who is harmed?\n")


def polish(copy: Copy) -> None:
    """A figure of the model card is made to look better, by hand."""
    write_card(copy)
    copy.edit(CARD, "- test rows: ", "- test rows: more than ")


CARD = "docs/model_card.md"
READ = "    frame = record.read_parquet(split.TRAIN)\n"
#: Fifty comparisons of other challengers with this champion on these rows, as `promote` counts them.
LOOKS = f"""
from {PACKAGE} import record, schema
from {PACKAGE}.gates import verdict
from {PACKAGE}.registry import promotion, tracking, versions
contract, test = schema.load(), record.read_parquet(verdict.TEST)
times = test[contract.time] if contract.time else None
with versions.exclusive(), tracking.session() as client:
    champion = versions.by_alias(client, "champion").tags["digest"]
    for number in range(50):
        promotion.count_look(client, str(number) * 64, champion, times)
"""

FAULTS = (
    Fault("small losses in a row", "five retrainings, each a little worse", "anchor", lose_little_by_little, "promote",
          "small"),
    Fault("worse after retraining", "half of the labels were guessed", "non_inferior", lambda copy: guess(copy, 0.5),
          "promote", "small"),
    Fault("certain and wrong now and then", "one customer's rows loaded twenty times", "guardrail", silence_category,
          "promote", "small"),
    Fault("a setting of the shell is part of the model", "units by an environment variable", "parity", read_shell,
          "promote", "small"),
    Fault("too many looks", "tried until one wins", "superior", keep_trying, "promote", "rivals"),
    Fault("promoted again after a rollback", "the next promotion runs as ever", "rolled_back", promote_again,
          "promote", "rivals"),
    Fault("champion knows the test rows", "the window moved back", "rows", back_in_time, "promote", "rivals"),
    Fault("worse than the champion", "tuned on the training loss", "superior", as_it_is, "promote", "rivals"),
    Fault("a model card left blank", "released before anyone wrote it", "card", leave_blank, "promote --production"),
    Fault("a model card polished by hand", "a nicer figure for the release", "card", polish, "promote --production"),
    Fault("equal to the champion", "a rewrite that changes nothing", "superior", as_it_is, "promote", "rewritten"),
)  # fmt: skip
