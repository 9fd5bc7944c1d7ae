"""One client a key, and what all workers know about a key: cool-downs and refusals.

An account's row that somebody has locked stays as it is, and nobody waits for it: the next answer
tells the same of the key.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime

from .. import waits
from ..api import evidence
from ..api.base_url import KEY_VARIABLE
from ..api.replies import VideoTask
from ..conf import Account, UnknownAccount, get_settings
from ..db import clock, locks
from ..exceptions import (
    ApiError,
    KeyMissing,
    KeyRefused,
    QuotaExceeded,
    RateLimited,
    RequestRefused,
    TaskNotExist,
)
from ..models import AccountState, Video
from ..signals import account_refused, account_restored, announce

if TYPE_CHECKING:
    from ..client import Client

__all__ = [
    "after_hold",
    "client_for",
    "client_of",
    "forget_clients",
    "has_answered_since",
    "held_for",
    "hold",
    "knows",
    "learn",
    "learn_create",
    "require_key",
    "wait_for",
    "wait_to_create",
]

logger = logging.getLogger(__name__)

FIRST_COOL_DOWN = 10.0
LONGEST_COOL_DOWN = 60.0
NO_QUOTA_PAUSE = 300.0
"""Seconds between two creates that find out whether the balance was topped up."""


_clients: dict[tuple[object, ...], Client] = {}


def client_for(account: Account) -> Client:
    """Return this process's client of an account; its connections are kept."""
    settings = get_settings()
    times = (settings.request_timeout, settings.create_timeout)
    # A client keeps its models: while it is known, no other table has their id.
    known = (account.name, account.base_url, *times, id(settings.models))
    client = _clients.get(known)
    if client is None:
        # Not before it is needed: a web process that never asks the API does not load requests.
        from ..client import Client

        client = _clients[known] = Client(
            lambda: get_settings().account(account.name).key(),
            account.base_url,
            settings.request_timeout,
            create_timeout=settings.create_timeout,
            models=settings.models,
        )
    return client


def forget_clients() -> None:
    """Close this process's clients, so that the next request reads the settings anew."""
    while _clients:
        _clients.popitem()[1].close()


def client_of(name: str) -> Client:
    """Return the client of a row's account; `KeyMissing` where the settings have lost it."""
    try:
        return client_for(get_settings().account(name))
    except UnknownAccount as error:
        raise KeyMissing(str(error)) from error


def knows(name: str, api_id: str) -> bool:
    """Ask the API whether an account has a video: one request, which costs nothing.

    False only where it says that it has none; an API that cannot be asked proves nothing.
    """
    try:
        client_of(name).retrieve(api_id)
    except TaskNotExist:
        return False
    except ApiError:
        pass
    return True


def require_key(name: str | None) -> None:
    """Raise `KeyMissing` where an account has no key now; a worker would wait for one."""
    account = get_settings().account(name)
    if not account.key().strip():
        raise KeyMissing(
            f"Account {account.name} has no API key. Set {KEY_VARIABLE}, or "
            f"SEEDANCE['API_KEY'] (in ACCOUNTS where there are several)."
        )


def wait_for(video: Video, lease: float | None = None) -> float | None:
    """Return the seconds to wait before asking on a key in trouble; None is a right to ask.

    Once its cool-down is over one may ask at a time, for `lease` seconds at most (a poll's limit
    by default), until the key works again. `video.probe_until` says that it is this one.
    """
    left = held_for(video, lease)
    return None if left is None else after_hold(left)


def held_for(video: Video, lease: float | None = None) -> float | None:
    """Return the seconds for which a key in trouble is held; None is a right to ask, for one."""
    now = video.now
    held = AccountState.objects.primary().troubled().filter(name=video.account)
    over = held.filter(_over("hold_until", now), _over("probe_until", now))
    probe_until = now + timedelta(seconds=lease or get_settings().poll_limit)
    won = locks.update(over, probe_until=probe_until)
    video.probe_until = probe_until if won else None
    if won:
        return None
    row = held.values_list("hold_until").first()
    if row is None:  # another's probe was answered meanwhile
        return None
    return max(0.0, (row[0] - now).total_seconds()) if row[0] else 0.0


def after_hold(left: float) -> float:
    """Return the seconds that one video waits while its key is held: not all come at once."""
    shortest, longest = get_settings().poll_countdown
    if left <= 0:
        return waits.countdown(shortest, longest)
    return waits.jittered(max(left, shortest), longest)


def wait_to_create(video: Video) -> float | None:
    """Return the seconds to wait before a create on this account; None is a right to ask.

    As `wait_for`, and while the balance is used up one create at a time tries, rarely.
    """
    settings = get_settings()
    states = AccountState.objects.primary().filter(name=video.account)
    state = states.first()
    if state is None:
        return None
    paused, longest = state.creates_hold_until, settings.poll_countdown[1]
    if paused and paused > video.now:
        return waits.jittered((paused - video.now).total_seconds(), longest)
    if state.strikes:
        held = wait_for(video, settings.create_timeout)
        if held is not None:
            return held
    probe_until = video.now + timedelta(seconds=settings.create_timeout)
    if paused and not locks.update(
        states.filter(creates_hold_until=paused), creates_hold_until=probe_until
    ):
        return waits.countdown(*settings.poll_countdown)
    video.probes_until = probe_until if paused else None
    return None


def _over(field: str, now: Any) -> Q:
    return Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__lte": now})


def learn(video: Video, answer: VideoTask | ApiError) -> float | None:
    """Keep what an answer tells about the key; return the seconds that it asks to wait."""
    if isinstance(answer, RateLimited):
        return hold(video.account, answer)
    if isinstance(answer, (KeyRefused, KeyMissing)):
        return _refused(video.account, answer)
    # Only an answer about the video proves that the key is taken: a proxy can answer 502.
    if video.probe_until and isinstance(answer, (VideoTask, RequestRefused, QuotaExceeded)):
        _restore(video.account, video.probe_until)
    return None


def _is_of_create(video: Video, answer: VideoTask | ApiError) -> bool:
    """Tell whether a key is refused for this create alone: other answers show that it is taken.

    Upstreams refuse single creates with a 401 of their own, and the gateway passes that on. Where
    the key really is refused, the next poll tells so.
    """
    if not isinstance(answer, KeyRefused):
        return False
    states = AccountState.objects.primary().filter(name=video.account)
    if states.filter(refused_at__isnull=False).exists():
        return False
    recent = timedelta(seconds=2 * get_settings().poll_countdown[1])
    return _answered(video).filter(answered_at__gte=video.now - recent).exists()


def has_answered_since(video: Video) -> bool:
    """Tell whether the API has taken the key in a poll after it refused it for this create."""
    told = video.evidence.get("create") or {}
    at = parse_datetime(str(told.get("at", "")))
    if at is None or told.get("error") != KeyRefused.__name__:
        return False
    # The time of the refusal is kept to the second.
    return _answered(video).filter(answered_at__gt=at + timedelta(seconds=1)).exists()


def _answered(video: Video) -> QuerySet[Video]:
    """Return the recent videos of the same account whose last request was answered."""
    # An index leads to the videos of the last day, however many there are.
    recent = Video.objects.primary().filter(created_at__gte=video.now - timedelta(days=1))
    return recent.filter(account=video.account, is_known=True, errors=0).exclude(pk=video.pk)


def learn_create(video: Video, answer: VideoTask | ApiError) -> float | None:
    """Keep what the answer to a create tells, about the balance as well; else as `learn`.

    Returns None for a key that is refused for this create alone: then nothing is to wait for.
    """
    states = AccountState.objects.primary().filter(name=video.account)
    asked_to_wait = None if _is_of_create(video, answer) else learn(video, answer)
    if isinstance(answer, QuotaExceeded):
        states.get_or_create(name=video.account)
        until = clock.after(NO_QUOTA_PAUSE)
        # The first one tells; those that find out later whether the balance is back do not again.
        if locks.update(states.filter(creates_hold_until__isnull=True), creates_hold_until=until):
            logger.error("Account %s has no balance for creates: %s", video.account, answer)
        else:
            locks.update(states, creates_hold_until=until)
    elif video.probes_until:
        # A pause that has begun since is another's to end. Where this one was to find out, and was
        # answered about something else, the next may.
        ends_at = None if isinstance(answer, VideoTask) else clock.now()
        mine = states.filter(creates_hold_until=video.probes_until)
        locks.update(mine, creates_hold_until=ends_at)
    if video.probe_until and asked_to_wait is None:
        # A create may ask for long, and this one has told nothing: the next may tell.
        locks.update(states.filter(probe_until=video.probe_until), probe_until=None)
    return asked_to_wait


def hold(name: str, error: RateLimited) -> float:
    """Start the cool-down of a key, or prolong it; return the seconds that are left of it.

    What was under way when it began is refused as well: that is one strike, not many.
    """
    state = _state(name)
    if state.hold_until and state.hold_until > state.now:
        return _prolonged(state, error.retry_after)
    cool_down = waits.backoff(state.strikes + 1, FIRST_COOL_DOWN, LONGEST_COOL_DOWN)
    seconds = error.retry_after or cool_down
    if _strike(state, seconds):
        logger.info("Account %s is held back for %.0f s", name, seconds)
    return seconds


def _prolonged(state: Any, asked: float | None) -> float:
    left = float((state.hold_until - state.now).total_seconds())
    if asked and asked > left:
        later = state.now + timedelta(seconds=asked)
        rows = AccountState.objects.primary().filter(name=state.name, hold_until__lt=later)
        locks.update(rows, hold_until=later)
    return max(left, asked or 0.0)


def _refused(name: str, error: ApiError) -> float:
    seconds = get_settings().poll_countdown[1]
    state = _state(name)
    _strike(state, seconds)
    # A key without strikes was taken again meanwhile, by an answer that is newer than this one.
    states = AccountState.objects.primary().troubled().filter(name=name, refused_at__isnull=True)
    told = evidence.of_error(error, state.now)
    changes = {"refused_reason": str(error)[:300], "evidence": told}
    if locks.update(states, refused_at=clock.now(), **changes):
        if isinstance(error, KeyMissing):
            logger.error("Account %s has no key to ask with: %s", name, error)
        else:
            logger.error("The API refuses the key of account %s: %s", name, error)
        announce(account_refused, Video, states.db, account=name)
    return seconds


def _state(name: str) -> Any:
    """Return the state of a key, with the database's time as `now`."""
    states = AccountState.objects.primary()
    states.get_or_create(name=name)
    return states.annotate(now=clock.now()).get(name=name)


def _strike(state: Any, seconds: float) -> bool:
    """Hold a key back for so many seconds; return whether nobody was faster."""
    states = AccountState.objects.primary().filter(name=state.name, strikes=state.strikes)
    begun = states.filter(_over("hold_until", state.now))
    held = {"strikes": state.strikes + 1, "hold_until": clock.after(seconds), "probe_until": None}
    return bool(locks.update(begun, **held))


def _restore(name: str, probe_until: datetime) -> None:
    """End the trouble of a key by the answer to the probe that was to find out, and by no other.

    A 429 or a refusal that has come since takes the probe away: such an answer is older.
    """
    states = AccountState.objects.primary().filter(name=name, probe_until=probe_until)
    fresh: dict[str, Any] = {"strikes": 0, "hold_until": None, "probe_until": None}
    fresh |= {"refused_reason": "", "refused_at": None, "evidence": {}}
    if locks.update(states.filter(refused_at__isnull=False), **fresh):
        logger.warning("The API takes the key of account %s again", name)
        announce(account_restored, Video, states.db, account=name)
    else:
        locks.update(states.filter(refused_at__isnull=True), **fresh)
