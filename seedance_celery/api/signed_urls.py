"""When a signed URL stops to work, read from the URL itself (pure).

Known forms: date and seconds (`X-Amz-…`, `X-Goog-…`, ByteDance's `X-Tos-…`, any `X-…-Date` with
`X-…-Expires`), Unix seconds (`Expires`, `X-Expires`, Tencent's `q-sign-time`), and Azure's `se`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

__all__ = ["expires_at"]

EARLIEST = datetime(2000, 1, 1, tzinfo=timezone.utc)
LATEST = datetime(2100, 1, 1, tzinfo=timezone.utc)
UNIX_NAMES = ("expires", "x-expires", "expire", "expiry", "exp")
_DATE_NAME = re.compile(r"x-[a-z0-9]+-date")
_SECONDS = re.compile(r"[0-9]{1,10}")
_UNIX = re.compile(r"[0-9]{9,13}")


def expires_at(url: str) -> datetime | None:
    """Return when a signed URL expires, in UTC, or None where it does not say.

    The earliest where it says more than one. Never raises.
    """
    try:
        pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    except ValueError:
        return None
    query = {name.lower(): value.strip() for name, value in pairs}
    ends = (*_from_dates(query), *_from_unix(query), *_from_azure(query))
    return min((end for end in ends if EARLIEST < end < LATEST), default=None)


def _from_dates(query: Mapping[str, str]) -> Iterator[datetime]:
    for name in filter(_DATE_NAME.fullmatch, query):
        signed = _parsed(query[name], "%Y%m%dT%H%M%SZ")
        seconds = query.get(f"{name.removesuffix('date')}expires", "")
        if signed is not None and _SECONDS.fullmatch(seconds):
            yield from _shifted(signed, int(seconds))


def _from_unix(query: Mapping[str, str]) -> Iterator[datetime]:
    values = [query.get(name, "") for name in UNIX_NAMES]
    values.append(query.get("q-sign-time", "").rpartition(";")[2])
    for value in filter(_UNIX.fullmatch, values):
        # 13 digits are milliseconds.
        seconds = int(value) / 1000 if len(value) > 11 else int(value)
        yield from _shifted(datetime.fromtimestamp(0, timezone.utc), seconds)


def _from_azure(query: Mapping[str, str]) -> Iterator[datetime]:
    value = query.get("se", "")
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"):
        end = _parsed(value, form)
        if end is not None:
            yield end


def _parsed(value: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(value, form).replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def _shifted(start: datetime, seconds: float) -> Iterator[datetime]:
    try:
        yield start + timedelta(seconds=seconds)
    except OverflowError:
        return
