"""Draw the rooms of the package from the import contract, so that the picture cannot lie.

The contract named `rooms` in `pyproject.toml` says which room stands above which; the first
sentence of a room's docstring says what happens in it. `make reference` writes `docs/rooms.svg`
anew, and a test compares the file with what this module draws.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "rooms.svg"

WIDTH = 960
GAP = 12
LINE = 15
"""Height of a line of text, in pixels."""
CHARACTER = 6.1
"""Mean width of a character of the captions, in pixels."""

STYLE = """text { font: 11px sans-serif; fill: #555; }
.name { font: bold 13px sans-serif; fill: #222; }
.room { fill: #f4f7fb; stroke: #9db4d0; }
.file { fill: #fff; stroke: #c9c9c9; }"""


def tiers(root: Path = ROOT) -> list[list[str]]:
    """Return the rooms from the top down; those of one line do not know each other."""
    with (root / "pyproject.toml").open("rb") as file:
        contracts: list[dict[str, Any]] = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    rooms = next(contract for contract in contracts if contract["id"] == "rooms")
    return [re.split(r"\s*[|:]\s*", re.sub(r"[()]", "", layer)) for layer in rooms["layers"]]


def caption(name: str, root: Path = ROOT) -> str:
    """Return the first sentence of a room's docstring."""
    place = root / "seedance_celery" / name
    source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.split("\n\n")[0].split()).replace("`", "")
    return paragraph.split(". ")[0].rstrip(".")


def is_room(name: str, root: Path = ROOT) -> bool:
    """Tell whether a name is a folder; the others are single modules."""
    return (root / "seedance_celery" / name).is_dir()


def wrapped(text: str, width: float) -> list[str]:
    """Return a text in lines that fit into so many pixels."""
    lines: list[str] = []
    for word in text.split():
        if lines and (len(lines[-1]) + 1 + len(word)) * CHARACTER <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def drawn(root: Path = ROOT) -> str:
    """Return the picture: a line of boxes for each line of the contract, the highest first."""
    boxes: list[str] = []
    top = float(GAP)
    for tier in tiers(root):
        width = (WIDTH - GAP * (len(tier) + 1)) / len(tier)
        texts = [wrapped(caption(name, root), width - 2 * GAP) for name in tier]
        height = LINE * (max(map(len, texts)) + 1) + 14
        for number, (name, lines) in enumerate(zip(tier, texts, strict=True)):
            left = GAP + number * (width + GAP)
            boxes += _box(name, lines, (left, top, width, height), is_room=is_room(name, root))
        top += height + GAP
    view = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top:.0f}">'
    ground = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([view, ground, f"<style>\n{STYLE}\n</style>", *boxes, "</svg>", ""])


def _box(
    name: str, lines: list[str], place: tuple[float, float, float, float], *, is_room: bool
) -> list[str]:
    left, top, width, height = place
    kind = "room" if is_room else "file"
    shape = f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}"'
    drawn = [f'{shape} height="{height:.1f}" rx="5"/>']
    label = f"{name}/" if is_room else name
    drawn.append(f'<text class="name" x="{left + GAP:.1f}" y="{top + 19:.1f}">{label}</text>')
    for number, line in enumerate(lines, start=1):
        y = top + 19 + number * LINE
        drawn.append(f'<text x="{left + GAP:.1f}" y="{y:.1f}">{escape(line)}</text>')
    return drawn


if __name__ == "__main__":
    PICTURE.write_text(drawn(), encoding="utf-8")
