"""Draw the picture of `docs/cadence.md`: a plan, and the past videos that made it.

`python -m benchmarks.cadence_picture` writes `docs/cadence.svg`, the same one each time.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

from seedance_celery.polling.plans import BIN, Life, make_plan

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "cadence.svg"
VIDEOS = 300
UNTIL = 200
"""Seconds of age that are shown."""
LEFT, RIGHT, TOP, MIDDLE, BOTTOM = 75, 700, 40, 180, 340
SHORTEST, LONGEST = 10.0, 20.0

STYLE = """
text { font: 13px sans-serif; fill: #444; }
.ends { fill: #9ec5e8; }
.line { fill: none; stroke: #c2410c; stroke-width: 2.5; }
.even { fill: none; stroke: #888; stroke-width: 1.5; stroke-dasharray: 5 4; }
.axis { stroke: #888; stroke-width: 1; }
.poll { fill: #c2410c; }
"""


def main() -> None:
    """Write the picture."""
    chance = Random(2)
    ends = [min(max(chance.lognormvariate(4.65, 0.28), 50), 175) for _ in range(VIDEOS)]
    plan = make_plan([Life(5.0, end, True) for end in ends], SHORTEST, LONGEST)
    assert plan is not None
    parts = [*histogram(ends), *countdowns(plan.rendering), *polls(plan.rendering), *words()]
    body = "\n".join(parts)
    PICTURE.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {RIGHT + 30} {BOTTOM + 90}">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )


def across(age: float) -> float:
    """Return where an age is drawn."""
    return LEFT + (RIGHT - LEFT) * age / UNTIL


def up(countdown: float) -> float:
    """Return where a countdown is drawn."""
    return BOTTOM - (BOTTOM - MIDDLE - 20) * (countdown - 5) / 17


def histogram(ends: list[float]) -> list[str]:
    """Return a bar for each bin: how many past videos ended then."""
    counts = [sum(int(end / BIN) == bin_ for end in ends) for bin_ in range(int(UNTIL / BIN))]
    step, most = across(BIN) - LEFT, max(counts)
    found = []
    for bin_, count in enumerate(counts):
        height = (MIDDLE - TOP - 10) * count / most
        found.append(
            f'<rect class="ends" x="{across(bin_ * BIN):.1f}" y="{MIDDLE - height:.1f}"'
            f' width="{step - 1:.1f}" height="{height:.1f}"/>'
        )
    return found


def countdowns(table: tuple[float, ...]) -> list[str]:
    """Return the line of the plan's countdowns, and the one of the even mean."""
    points = []
    for bin_, countdown in enumerate(table[: int(UNTIL / BIN)]):
        points += [
            f"{across(age):.1f},{up(countdown):.1f}" for age in (bin_ * BIN, (bin_ + 1) * BIN)
        ]
    mean = up((SHORTEST + LONGEST) / 2)
    return [
        f'<polyline class="line" points="{" ".join(points)}"/>',
        f'<line class="even" x1="{LEFT}" x2="{RIGHT}" y1="{mean:.1f}" y2="{mean:.1f}"/>',
    ]


def polls(table: tuple[float, ...]) -> list[str]:
    """Return a dot for each poll of one video, planned and even."""
    found, age = [], 13.0
    while age < UNTIL and int(age / BIN) < len(table):
        found.append(f'<circle class="poll" cx="{across(age):.1f}" cy="{BOTTOM + 35}" r="4"/>')
        age += table[int(age / BIN)]
    for number in range(1, int(UNTIL / 15) + 1):
        found.append(
            f'<circle cx="{across(15 * number - 2):.1f}" cy="{BOTTOM + 58}" r="4" fill="#888"/>'
        )
    return found


def words() -> list[str]:
    """Return axes and labels."""
    found = [
        f'<line class="axis" x1="{LEFT}" x2="{RIGHT}" y1="{MIDDLE}" y2="{MIDDLE}"/>',
        f'<line class="axis" x1="{LEFT}" x2="{RIGHT}" y1="{BOTTOM}" y2="{BOTTOM}"/>',
        f'<text x="{LEFT}" y="{TOP - 15}">when {VIDEOS} past videos of this kind ended</text>',
        f'<text x="{LEFT}" y="{MIDDLE + 22}">the next countdown, by age</text>',
        f'<text x="{LEFT - 6}" y="{BOTTOM + 39}" text-anchor="end">planned</text>',
        f'<text x="{LEFT - 6}" y="{BOTTOM + 62}" text-anchor="end">even</text>',
    ]
    for countdown in (10, 15, 20):
        y = up(countdown) + 4
        found.append(f'<text x="{LEFT - 6}" y="{y:.1f}" text-anchor="end">{countdown} s</text>')
    for age in range(0, UNTIL + 1, 40):
        found.append(
            f'<text x="{across(age):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{age} s</text>'
        )
    found.append(f'<text x="{LEFT}" y="{BOTTOM + 84}">seconds in progress, and the polls</text>')
    return found


if __name__ == "__main__":
    main()
