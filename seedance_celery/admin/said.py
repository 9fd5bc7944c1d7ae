"""What the API said when something went wrong: for the admin, and for the API's support."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..api.evidence import hidden
from ..api.redaction import redact_text
from ..models import Video

__all__ = ["line", "said", "support_text"]

_WHEN = {
    "create": gettext_lazy("as it was bought"),
    "poll": gettext_lazy("as it was asked for"),
    "end": gettext_lazy("as it ended"),
}


def said(evidence: Mapping[str, Any]) -> SafeString | str:
    """Return a list of what was said when."""
    rows = ((str(words), line(evidence[name])) for name, words in _WHEN.items() if name in evidence)
    items = format_html_join("", "<li><span>{}</span> {}</li>", rows)
    return format_html('<ol class="seedance-said">{}</ol>', items) if items else "-"


def line(told: Mapping[str, Any]) -> str:
    """Return one piece of evidence as a line of text."""
    status = told.get("http_status")
    codes = [told.get("code"), told.get("upstream_code"), told.get("api_status")]
    parts = [f"HTTP {status}" if status else told.get("error", ""), *codes, _quoted(told)]
    if told.get("request_id"):
        parts.append(f"(request id: {told['request_id']})")
    if told.get("ids"):
        parts.append(_("What may be its id: %(ids)s.") % {"ids": ", ".join(told["ids"])})
    times = [told.get("at"), told.get("over_at")]
    return f"{' to '.join(filter(None, times))}: {' '.join(filter(None, parts))}"


def _quoted(told: Mapping[str, Any]) -> str:
    texts = (told.get("words"), told.get("body"))
    return " ".join(
        f"\N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK}"
        for text in texts
        if text
    )


def support_text(video: Video) -> str:
    """Return what the API's support asks for; it holds no prompt, no key and no signed link.

    It is in English, whatever language the admin speaks.
    """
    facts = {
        "id": video.api_id or "unknown",
        "model": video.model,
        "status": " ".join(filter(None, (video.api_status, f"(here: {video.status})"))),
        "created": video.post_started_at and video.post_started_at.isoformat(timespec="seconds"),
        "last request id": video.request_id,
    }
    lines = [f"{name}: {value}" for name, value in facts.items() if value]
    lines += [f"{name}: {line(video.evidence[name])}" for name in _WHEN if name in video.evidence]
    return "\n".join(redact_text(text, hide=hidden(video.prompt)) for text in lines)
