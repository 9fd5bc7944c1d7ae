"""Probes of the API: is it there, what time is it there, does it take the key?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import requests

from ...accounts import health
from ...conf import Account, get_settings
from ...exceptions import ApiError, TaskNotExist
from .findings import Found, bad, good, unsure

__all__ = ["look_at_api", "look_at_live_keys"]

NO_SUCH_ID = "task_seedance_doctor_asks_for_no_video"
TOLERANCE = 30.0
"""Seconds: a Date is in whole ones, and a reply takes its time."""


def look_at_api() -> Iterator[Found]:
    """Ask each address once, without a key, and compare the clocks."""
    for base_url in sorted({account.base_url for account in get_settings().accounts.values()}):
        yield from _look_at_address(base_url)


def _look_at_address(base_url: str) -> Iterator[Found]:
    with requests.Session() as session:
        # As the client: neither a proxy nor a .netrc of the environment.
        session.trust_env = False
        url = f"{base_url}/v1/videos/{NO_SUCH_ID}"
        try:
            with session.get(url, timeout=(5, 5), allow_redirects=False, stream=True) as reply:
                status, date = reply.status_code, reply.headers.get("Date")
        except requests.RequestException as error:
            hint = "Correct BASE_URL, or look at the network and the firewall."
            yield bad(f"{base_url} cannot be reached ({type(error).__name__})", hint)
            return
    if status < 400:
        hint = "Write the API's own address into BASE_URL."
        yield bad(f"{base_url} answers {status} where the API says 401: it is not the API", hint)
        return
    if status >= 500:
        yield unsure(f"{base_url} answers {status}", "The API is unwell; videos go on polling.")
    yield _look_at_clock(base_url, date)


def _look_at_clock(base_url: str, date: str | None) -> Found:
    try:
        then = parsedate_to_datetime(date or "")
    except ValueError:
        return good(f"{base_url} is there, and does not tell its time")
    if then.tzinfo is None:
        then = then.replace(tzinfo=timezone.utc)
    off = (datetime.now(timezone.utc) - then).total_seconds()
    if abs(off) > TOLERANCE:
        message = f"this machine's clock is {off:+.0f} s off that of {base_url}"
        return unsure(message, "Set it by NTP: the lifetime of signed URLs is judged by theirs.")
    return good(f"{base_url} is there; the clocks agree")


def look_at_live_keys() -> Iterator[Found]:
    """Ask on each account for a video that cannot exist: to be told so proves the key."""
    for account in get_settings().accounts.values():
        yield _look_at_live_key(account)


def _look_at_live_key(account: Account) -> Found:
    try:
        health.client_for(account).retrieve(NO_SUCH_ID)
    except TaskNotExist:
        return good(f"{account.name}: the API takes the key")
    except ApiError as error:
        message = f"{account.name}: {error} ({type(error).__name__})"
        return bad(message, "Correct the account's API_KEY or BASE_URL.")
    return unsure(f"{account.name}: the API knows an id that cannot exist", "Look at BASE_URL.")
