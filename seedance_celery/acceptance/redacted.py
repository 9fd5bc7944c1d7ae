"""Make an answer of the API fit to be kept in a file that others read (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..api.redaction import redact, redact_text

__all__ = ["KEPT_ID", "Redaction", "kept_link"]

KEPT_ID = "task_abc123"
"""The id under which the one video is kept, as in the tables of the tests."""

_URL = re.compile(r"(?i)\bhttps?:[^\s\"'<>]+")
_KEPT_HEADERS = ("retry-after", "x-cometapi-request-id", "content-range", "server")

# What the client of CometAPI's command line reads of an entry. Others may tell of a person.
_DOCUMENTED = {
    *("id", "created_at", "task_id", "platform", "action", "status", "model_name", "quota"),
    *("submit_time", "start_time", "finish_time", "progress", "type", "request_id"),
}


def kept_link(url: str) -> str:
    """Return a link's scheme and host, with nothing that opens or names the file."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or "unknown"
    except ValueError:
        return "https://unknown/redacted"
    return f"{parts.scheme.lower()}://{host}/redacted"


@dataclass
class Redaction:
    """Takes out what is private: keys, the prompt, links, and the ids of videos."""

    hide: Iterable[str] = field(default=(), repr=False)
    ids: dict[str, str] = field(default_factory=dict)
    """The ids of the API, and what stands for each in the files."""

    def text(self, text: str) -> str:
        """Return a text that can be kept."""
        # A link may hold an id, a key or the prompt: it goes first.
        text = _URL.sub(lambda url: kept_link(url[0]), text)
        for api_id in sorted(self.ids, key=len, reverse=True):
            text = text.replace(api_id, self.ids[api_id])
        return redact_text(text, hide=self.hide)

    def value(self, value: Any) -> Any:
        """Return JSON that can be kept."""
        return self._texts(redact(self._texts(value)))

    def entry(self, entry: Any) -> Any:
        """Return an entry of the account's lists: of fields nobody documents, the kind only."""
        if not isinstance(entry, dict):
            return _blank(entry)
        return {
            str(name): self.value(value) if name in _DOCUMENTED else _blank(value)
            for name, value in entry.items()
        }

    def headers(self, headers: dict[str, str]) -> dict[str, str]:
        """Return those of the headers (names in lower case) that say something of the API."""
        kept = {name: self.text(headers[name]) for name in _KEPT_HEADERS if name in headers}
        if "x-cometapi-request-id" in kept:
            kept["x-cometapi-request-id"] = "20260205132859798638387SIHCnxzJ"
        return kept

    def _texts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(name)): self._member(name, item) for name, item in value.items()}
        return [self._texts(item) for item in value] if isinstance(value, list) else value

    def _member(self, name: object, item: Any) -> Any:
        return "[redacted]" if name == "prompt" and item else self._texts(item)


def _blank(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _blank(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_blank(item) for item in value[:1]]
    if isinstance(value, bool) or value is None:
        return value
    return 0 if isinstance(value, (int, float)) else ""
