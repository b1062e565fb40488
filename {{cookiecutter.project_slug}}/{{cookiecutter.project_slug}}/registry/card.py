"""The model card that production asks for: written by people, its figures those of the model that lies here.

The nine sections are those of Mitchell et al. 2019 (Model cards for model reporting). `report` fills the parts between
`<!-- from the run: NAME -->` and `<!-- end -->` and seals them with the files that they were made of.
"""

from __future__ import annotations

import re
from pathlib import Path

from .. import record
from ..errors import GateClosed
from ..gates import verdict

CARD = Path("docs/model_card.md")
SECTIONS = (
    "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data", "Quantitative analyses",
    "Ethical considerations", "Caveats and recommendations",
)  # fmt: skip
#: What stands where nobody has answered yet: a question's mark, a question that ends a paragraph, a note to oneself.
UNANSWERED = re.compile(r"\*\*To be written:\*\*|\?[*_ ]*(?:\n\s*\n|\s*\Z)|\b(?:TODO|TBD|FIXME)\b")
BLOCK = re.compile(r"(<!-- from the run: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SEAL = "seal"
#: What the generated parts are made of.
SOURCES = (verdict.TRAINING, *(Path(f"reports/{name}.json") for name in (
    "ingest", "validate", "split", "pretrain", "evaluate", "posttrain")))  # fmt: skip


def seal(blocks: dict[str, str]) -> str:
    """SHA-256 over the generated parts by name, the seal apart, and the files that they are made of."""
    files = {path.as_posix(): record.file_sha256(path) for path in SOURCES if path.is_file()}
    return record.value_sha256([{name: text for name, text in blocks.items() if name != SEAL}, files])


def blank(text: str) -> list[str]:
    """The sections that are missing, still ask, or hold nothing but what comes from the run."""
    parts = re.split(r"^## +(.+?) *$", text, flags=re.MULTILINE)
    bodies = dict(zip(parts[1::2], parts[2::2], strict=True))
    human = {name: re.sub(r"<!--.*?-->", "", BLOCK.sub("", body), flags=re.DOTALL) for name, body in bodies.items()}
    return [name for name in SECTIONS if not human.get(name, "").strip() or UNANSWERED.search(human[name])]


def require() -> None:
    """Raise GateClosed unless every section is written and the generated parts are those of what lies here."""
    text = CARD.read_text(encoding="utf-8") if CARD.is_file() else ""
    if unwritten := blank(text):
        raise GateClosed(["card"], f"{CARD}: not written: {', '.join(unwritten)}; answer its questions")
    blocks = {name: content for _, name, content, _ in BLOCK.findall(text)}
    if seal(blocks) not in blocks.get(SEAL, ""):
        digest = record.read_json(verdict.TRAINING)["digest"]
        command = f"python -m {verdict.PACKAGE.name} report"
        raise GateClosed(["card"], f"{CARD}: what comes from the run is not of model {digest[:12]}: run `{command}`")
