"""The page at `/`: what was sold, as a provider's dashboard shows it to the person who paid.

There a person finds the video of a create whose reply was lost. The page has no script, and loads
nothing; unlike the control routes it shows prompts, as they are what such a video is known by.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape

from .account import Shown
from .reply import Reply

__all__ = ["dashboard"]

NEWEST = 500
"""How many videos are listed."""
LONGEST_PROMPT = 500

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #8888; padding: .4rem .8rem .4rem 0; text-align: left }
td { overflow-wrap: anywhere; vertical-align: top }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


def dashboard(videos: Sequence[Shown]) -> Reply:
    """Return the page that lists `videos` (oldest first), the newest on top."""
    rows = "".join(_row(shown) for shown in reversed(videos[-NEWEST:]))
    more = f" The newest {NEWEST} are shown." if len(videos) > NEWEST else ""
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Videos sold by the simulator</title><style>{_STYLE}</style></head><body>"
        f"<h1>Videos sold by the simulator</h1><p>{len(videos)} in all.{more}</p>"
        '<table><thead><tr><th scope="col">Id</th><th scope="col">Prompt</th>'
        '<th scope="col">Status</th><th scope="col">Created (UTC)</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></body></html>"
    )
    headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", _POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    )
    return Reply(200, headers, body=page.encode("utf-8", "replace"))


def _row(shown: Shown) -> str:
    prompt = shown.video.order.prompt
    if len(prompt) > LONGEST_PROMPT:
        prompt = f"{prompt[:LONGEST_PROMPT]}…"
    created = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(shown.video.created_at))
    status = str(shown.task.get("status") or "unknown")
    cells = (shown.video.api_id, prompt, status, created)
    return "<tr>{}</tr>".format("".join(f"<td>{escape(cell)}</td>" for cell in cells))
