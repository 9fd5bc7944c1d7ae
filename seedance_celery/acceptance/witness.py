"""The package's own client, which keeps a redacted row of each answer that it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from requests import Response

from ..api.envelopes import json_object
from ..api.replies import API_STATUSES
from ..client import Client
from ..exceptions import ApiError
from ..net.adapter import ApiRequest
from .redacted import Redaction, kept_link

__all__ = ["Answer", "Notes", "Row", "Witness"]

Row = dict[str, Any]
"""A reply in the form of `tests/contract/bodies.json`."""

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What came back, unredacted: it never leaves this process."""

    http: int
    headers: dict[str, str] = field(repr=False)
    body: dict[str, Any] = field(repr=False)


@dataclass
class Notes:
    """The rows that are kept, by name; the first of a name stays."""

    redaction: Redaction
    rows: dict[str, Row] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict, repr=False)

    def take(self, name: str, route: str, expect: Row, response: Response) -> None:
        """Keep a reply under `name`, with what a reader should make of it."""
        headers = {key.lower(): value for key, value in response.headers.items()}
        found = json_object(response.content)
        self.answers.setdefault(name, Answer(response.status_code, headers, found or {}))
        row: Row = {
            "name": name,
            "route": route,
            "http": response.status_code,
            "type": headers.get("content-type", ""),
            "headers": self.redaction.headers(headers),
        }
        if found is None:
            text = response.content.decode("utf-8", "replace")[:2000]
            row["text"] = self.redaction.text(text)
        else:
            row["body"] = self._body(route, found)
        self.rows.setdefault(name, {**row, "expect": expect})

    def learn_id(self, api_id: str, kept: str) -> None:
        """Replace an id from now on, and in what is kept already."""
        self.redaction.ids[api_id] = kept
        self.rows = {
            name: {
                field: self.redaction.value(value) if field in ("body", "text") else value
                for field, value in row.items()
            }
            for name, row in self.rows.items()
        }

    def add(self, row: Row) -> None:
        """Keep a row that no request of the client brought."""
        self.rows.setdefault(row["name"], row)

    def _body(self, route: str, found: dict[str, Any]) -> Any:
        if route not in ("tasks", "log", "models"):
            return self.redaction.value(found)
        # Lists of the whole account: one entry tells how they are written.
        data = found.get("data")
        items = data.get("items") if isinstance(data, dict) else data
        if not isinstance(items, list):
            return self.redaction.value(found)
        entries = [self.redaction.entry(item) for item in items[:1]]
        kept = {**found, "data": {**data, "items": []} if isinstance(data, dict) else []}
        redacted = self.redaction.value(kept)
        if isinstance(data, dict):
            redacted["data"]["items"] = entries
        else:
            redacted["data"] = entries
        return redacted


class Witness(Client):
    """A client whose answers are noted. It repeats nothing."""

    def __init__(self, notes: Notes, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._notes = notes
        self._step: tuple[str, str, Row] = ("", "", {})

    def noted(self, name: str, route: str, expect: Row, ask: Callable[[], T]) -> T | ApiError:
        """Call `ask`, note its reply under `name`, and return what it brings or raises."""
        self._step = (name, route, expect)
        try:
            return ask()
        except ApiError as error:
            return error

    def read(self, name: str, route: str, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """GET another path of the API, with the key; return its JSON, or the error."""

        def ask() -> Any:
            url = f"{self._root}{path}" + (f"?{urlencode(query)}" if query else "")
            return json_object(self._send(self._get(url, self._key(), "")).content)

        return self.noted(name, route, {}, ask)

    @property
    def _root(self) -> str:
        return self._videos_url.removesuffix("/v1/videos")

    def _send(self, request: ApiRequest) -> Response:
        response = super()._send(request)
        name, route, expect = self._step
        if route == "retrieve" and not expect:
            name, expect = self._of_poll(name, response)
        self._notes.take(name, route, expect, response)
        return response

    def _of_poll(self, name: str, response: Response) -> tuple[str, Row]:
        """Name a poll after the status that it brought; expect what is documented of that."""
        if not 200 <= response.status_code < 300:
            return f"{name} {response.status_code}", {}
        found = json_object(response.content) or {}
        word = str(found.get("status", "")).strip().lower()
        if word not in API_STATUSES:
            # Documented is one of five words at the top level, and nothing else.
            return f"{name} {word or 'without a status'}", {"status": "queued"}
        expect: Row = {"status": word}
        if word == "completed":
            expect["url"] = kept_link(str(found.get("video_url", "")))
        return f"{name} {word}", expect
