"""Tables of figures, as Markdown."""

from __future__ import annotations


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print Markdown."""
    print(f"\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        line(row)


def line(cells: list[str]) -> None:
    """Print a line of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)
