"""The history of a video, to which the database itself appends.

A history that is read, made longer and written back loses what another process wrote meanwhile.
"""

from __future__ import annotations

from typing import Any, Final

from django.db import models

__all__ = ["HISTORY_LENGTH", "Noted"]

HISTORY_LENGTH: Final = 50

_PAIR = {"postgresql": "jsonb_build_array(%s::text, %s::text)", "mysql": "JSON_ARRAY(%s, %s)"}
_CASES = {
    "postgresql": (
        "CASE WHEN jsonb_typeof({c}) <> 'array' THEN jsonb_build_array({pair})"
        " WHEN jsonb_array_length({c}) >= {most} THEN ({c} || jsonb_build_array({pair})) - 0"
        " ELSE {c} || jsonb_build_array({pair}) END"
    ),
    "mysql": (
        "CASE WHEN JSON_TYPE({c}) <> 'ARRAY' THEN JSON_ARRAY({pair})"
        " WHEN JSON_LENGTH({c}) >= {most}"
        " THEN JSON_REMOVE(JSON_ARRAY_APPEND({c}, '$', {pair}), '$[0]')"
        " ELSE JSON_ARRAY_APPEND({c}, '$', {pair}) END"
    ),
    "sqlite": (
        "CASE WHEN json_type({c}) <> 'array' THEN json_array({pair})"
        " WHEN json_array_length({c}) >= {most}"
        " THEN json_remove(json_insert({c}, '$[#]', {pair}), '$[0]')"
        " ELSE json_insert({c}, '$[#]', {pair}) END"
    ),
}


class Noted(models.Func):
    """The value of `history` with one event more, the oldest of too many left out.

    For updates alone. A history that is no list, of whatever wrote it, starts anew.
    """

    def __init__(self, moment: str, event: str) -> None:
        super().__init__(models.F("history"), output_field=models.JSONField())
        self.entry = [moment, event]

    def after(self, history: Any) -> list[Any]:
        """Return what this makes of a history."""
        before = history if isinstance(history, list) else []
        return [*before, self.entry][-HISTORY_LENGTH:]

    @property
    def params(self) -> list[str]:
        """The parameters of `sql()`."""
        return self.entry * 3

    @staticmethod
    def sql(vendor: str, column: str) -> str:
        """Return the expression, for the quoted name of the column."""
        pair = _PAIR.get(vendor, "json_array(%s, %s)")
        return _CASES[vendor].format(c=column, pair=pair, most=HISTORY_LENGTH)

    def as_sql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, list[str]]:  # type: ignore[override]
        """Compile the expression, for Django."""
        column, _ = compiler.compile(self.source_expressions[0])
        return self.sql(connection.vendor, column), self.params
