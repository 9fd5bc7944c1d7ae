"""One client a key, and what all workers know about a key: cool-downs and refusals."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import F, Q

from . import cadence, clock
from .client import Client
from .conf import Account, get_settings
from .exceptions import ApiError, KeyMissing, KeyRefused, RateLimited, RequestRefused
from .models import AccountState, Video
from .protocol import VideoTask
from .signals import account_refused, account_restored

__all__ = ["client_for", "forget_clients", "hold", "learn", "wait_for"]

logger = logging.getLogger(__name__)

FIRST_COOL_DOWN = 10.0
LONGEST_COOL_DOWN = 60.0


_clients: dict[tuple[object, ...], Client] = {}


def client_for(account: Account) -> Client:
    """Return this process's client of an account; its connections are kept."""
    settings = get_settings()
    known = (account.name, account.base_url, settings.request_timeout, settings.create_timeout)
    client = _clients.get(known)
    if client is None:
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


def wait_for(name: str, now: datetime) -> float | None:
    """Return the seconds to wait before asking on a key in trouble; None is a right to ask.

    Once its cool-down is over one may ask at a time, until the key works again.
    """
    settings = get_settings()
    held = AccountState.objects.primary().troubled().filter(name=name)
    over = held.filter(Q(hold_until__isnull=True) | Q(hold_until__lte=now))
    if over.update(hold_until=now + timedelta(seconds=settings.poll_limit)):
        return None
    until = held.values_list("hold_until", flat=True).first()
    left = (until - now).total_seconds() if until else 0.0
    return cadence.spread(max(left, settings.poll_countdown[0]), settings.poll_countdown[1])


def learn(video: Video, answer: VideoTask | ApiError) -> float | None:
    """Keep what an answer tells about the key; return the seconds that it asks to wait."""
    if isinstance(answer, RateLimited):
        return hold(video.account, answer)
    if isinstance(answer, (KeyRefused, KeyMissing)):
        return _refused(video.account, answer)
    # Only an answer about the video proves that the key is taken: a proxy can answer 502.
    if video.troubled and isinstance(answer, (VideoTask, RequestRefused)):
        _restored(video.account)
    return None


def hold(name: str, error: RateLimited) -> float:
    """Start or prolong the cool-down of a key; return its seconds."""
    cool_down = cadence.backoff(_strike(name), FIRST_COOL_DOWN, LONGEST_COOL_DOWN)
    seconds = error.retry_after or cool_down
    _hold(name, seconds)
    logger.debug("Account %s is held back for %.0f s", name, seconds)
    return seconds


def _refused(name: str, error: ApiError) -> float:
    _strike(name)
    seconds = get_settings().poll_countdown[1]
    _hold(name, seconds)
    states = AccountState.objects.primary().filter(name=name, refused_at__isnull=True)
    if states.update(refused_at=clock.now(), refused_reason=str(error)[:300]):
        logger.error("The API refuses the key of account %s: %s", name, error)
        account_refused.send_robust(sender=Video, account=name)
    return seconds


def _restored(name: str) -> None:
    states = AccountState.objects.primary().filter(name=name)
    fresh = {"strikes": 0, "hold_until": None, "refused_reason": "", "refused_at": None}
    if states.filter(refused_at__isnull=False).update(**fresh):
        logger.warning("The API takes the key of account %s again", name)
        account_restored.send_robust(sender=Video, account=name)
    else:
        states.update(**fresh)


def _strike(name: str) -> int:
    states = AccountState.objects.primary()
    states.get_or_create(name=name)
    states.filter(name=name).update(strikes=F("strikes") + 1)
    return states.values_list("strikes", flat=True).get(name=name)


def _hold(name: str, seconds: float) -> None:
    AccountState.objects.primary().filter(name=name).update(hold_until=clock.after(seconds))
