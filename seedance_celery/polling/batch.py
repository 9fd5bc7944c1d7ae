"""Asking for many videos in one task: the second way to poll, chosen by `POLLER`.

A poller takes due rows of one account, asks for them over a bounded number of connections, writes
plain progress back in few statements, and comes again. What is more than plain progress goes the
way of a single poll. No message and no memory waits for a video anywhere.

Claiming moves a row's token on and its `next_poll_at` ahead: nobody else asks meanwhile, and what
a poller that died had claimed is due again by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db import Error

from .. import sending, signals
from ..accounts import health
from ..api.replies import VideoTask
from ..conf import BATCH_RUN, get_settings
from ..db import locks, row_errors
from ..db.row_errors import RowLockedError
from ..exceptions import ApiError, KeyMissing, KeyRefused, RateLimited
from ..lifecycle.decisions import decide, is_given_up
from ..models import Poller, Video, walk
from . import poll
from .askers import Askers
from .bulk import Move, claim, move_all

__all__ = ["act"]

logger = logging.getLogger(__name__)

TICK = 1.0
"""Seconds between two looks for due rows, once none are left."""
LINGER = 0.2
"""Seconds in which answers are gathered, to be written together."""
SPARE = 2.0
"""Seconds that a claimed row may wait for a connection."""
MOST = 500
"""Rows of one claim."""

Said = tuple[VideoTask | ApiError, float]
"""What the API said, and when (`time.monotonic`)."""


@dataclass(frozen=True)
class _Claimed:
    """A video that this task may ask for, and when it was claimed (`time.monotonic`)."""

    video: Video
    at: float

    def now(self, then: float) -> datetime:
        """Return the database's time at a moment after the claim."""
        return self.video.now + timedelta(seconds=then - self.at)


def act(account: str, number: int, token: int) -> None:
    """Do what one message of a poller is for: ask for what is due, and come again."""
    poller = None
    try:
        poller = Poller.objects.begin(account, number, token)
        if poller is None:
            logger.debug("A stale message for poller %s/%s", account, number)
            return
        run = _Run(poller)
        # Many videos are waited for together: what somebody has locked is due again by itself.
        with locks.brief(0.0):
            run.go()
        _go_on(poller, run)
    except Error as error:
        name = f"Poller {account}/{number}"
        if row_errors.is_about_row(error):
            row_errors.tell(name, error)  # the sweep calls it, or sends its videos as loops
            return
        # What was claimed is due again by itself. The row of the poller may be out of reach, too.
        why = "its row is locked" if isinstance(error, RowLockedError) else "the database is away"
        logger.info("%s: %s (%s)", name, why, type(error).__name__)
        wait = get_settings().poll_countdown[0]
        message = (account, number, token if poller is None else poller.token)
        sending.send(sending.BATCH, message, **sending.delay(wait))
        return
    _tell(run.progressed)


def _go_on(poller: Poller, run: _Run) -> None:
    """Let a poller come again where its account has videos in work, else let it end."""
    settings = get_settings()
    resting = poller.rest()
    if resting is None:
        return
    is_wanted = sending.in_batches() and poller.number < settings.batch_tasks
    wait = Video.objects.next_poll(poller.account, run.passed) if is_wanted else None
    if wait is None or poller.account not in settings.accounts:
        resting.stop()
        return
    resting.call(max(wait, run.pause))


def _tell(progressed: Iterable[Video]) -> None:
    """Fire `video_progressed` for those that have not ended meanwhile."""
    if not signals.video_progressed.has_listeners(Video):
        return
    keys = list(dict.fromkeys(video.pk for video in progressed))
    for start in range(0, len(keys), MOST):
        rows = Video.objects.primary().with_now().polled().filter(pk__in=keys[start : start + MOST])
        for video in walk.read(rows, list(rows.values_list("pk", flat=True))):
            signals.tell(signals.video_progressed, video)


def _ask(claimed: _Claimed) -> Said:
    return poll.ask(claimed.video), monotonic()


class _Run:
    """One run of a poller: claims, asks and writes until nothing is due, or time is up."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.progressed: list[Video] = []
        self.passed: set[Any] = set()
        """The keys of videos that cannot be claimed: this run has tried each of them once."""
        self._settings = get_settings()
        self._tick = min(TICK, self._settings.poll_countdown[0])
        self._ends_at = monotonic() + BATCH_RUN
        self._renewed_at = self._claimed_at = monotonic()
        self._is_mine = True
        self._is_caught_up = False
        self._is_held = False
        self._answered = 0
        """How many answers the last turn brought: so many more may wait for a connection."""
        self._refused_at: float | None = None
        """When the key was last refused or limited (`time.monotonic`)."""
        self._asked_to_wait: float | None = None

    @property
    def pause(self) -> float:
        """What became due since the last look is asked for together with more, in a moment."""
        if not self._is_caught_up:
            return 0.0
        return max(0.0, self._tick - (monotonic() - self._claimed_at))

    def go(self) -> None:
        # Also where `POLLER` is "loop" here: while workers change over, the broker may hand every
        # message of a poller to a worker of the other setting.
        if self.poller.account not in self._settings.accounts:
            return
        with Askers(_ask, self._settings.batch_connections) as askers:
            self._claim(askers)
            while askers.pending:
                answers = askers.collect(self._tick, LINGER)
                self._answered = len(answers)
                self._keep(answers)
                self._put_back(askers)
                self._renew()
                self._claim(askers)

    # Taking rows.

    def _claim(self, askers: Askers[_Claimed, Said]) -> None:
        while self._may_claim():
            room = MOST if self._is_held else min(askers.free + self._answered, MOST)
            if not room:
                return
            self._claimed_at = monotonic()
            found = claim(self.poller.account, room, poll.claim_time(SPARE), self.passed)
            self._is_caught_up = len(found) < room
            for video in self._allowed(found):
                askers.put(_Claimed(video, self._claimed_at))
            if not self._is_held:
                return

    def _may_claim(self) -> bool:
        now = monotonic()
        is_soon = self._is_caught_up and now - self._claimed_at < self._tick
        return self._is_mine and now < self._ends_at and not is_soon

    def _allowed(self, found: list[Video]) -> list[Video]:
        """Return the videos to ask for; on a key in trouble one at most, and the others wait."""
        self._is_held = bool(found) and found[0].troubled
        if not self._is_held:
            return found
        left = health.held_for(found[0])
        if left is None:
            probe, found, left = found[:1], found[1:], 0.0
        else:
            probe = []
        moves: list[Move] = []
        for video in found:
            if is_given_up(video, video.now):
                with walk.alone(video):
                    self._keep_alone(video, poll.HELD, video.now, left)
            else:
                moves.append((video, poll.asked_next(video.now, health.after_hold(left))))
        move_all(moves)
        return probe

    def _put_back(self, askers: Askers[_Claimed, Said]) -> None:
        """Give back what no connection was free for, or what may not be asked for any more."""
        now = monotonic()
        is_refused = self._refused_at is not None and self._refused_at > self._claimed_at
        if not is_refused and now - self._claimed_at < SPARE:
            return
        moves: list[Move] = []
        for claimed in askers.take_back():
            wait = health.after_hold(self._asked_to_wait or 0.0) if is_refused else 0.0
            moves.append((claimed.video, poll.asked_next(claimed.now(now), wait)))
        move_all(moves)

    def _renew(self) -> None:
        if monotonic() - self._renewed_at > self._settings.resend_after / 3:
            self._renewed_at = monotonic()
            self._is_mine = self.poller.renew()

    # Keeping answers.

    def _keep(self, answers: list[tuple[_Claimed, Said | Exception]]) -> None:
        plain: list[tuple[Move, bool]] = []
        for claimed, answer in answers:
            with walk.alone(claimed.video):
                plain += self._plain(claimed, answer)
        won = {video.pk for video in move_all([move for move, _ in plain])}
        for (video, _), has_progressed in plain:
            if video.pk in won:
                poll.warn_of_errors(video)
                if has_progressed:
                    self.progressed.append(video)

    def _plain(self, claimed: _Claimed, answer: Said | Exception) -> list[tuple[Move, bool]]:
        """Return what an answer changes, and whether that is progress; more is kept alone."""
        if isinstance(answer, Exception):
            return [(self._puzzled(claimed, answer), False)]
        said, now = answer[0], claimed.now(answer[1])
        asked_to_wait = self._learn(claimed, said)
        step = decide(claimed.video, said, now)
        if not step.is_plain:
            self._keep_alone(claimed.video, said, now, asked_to_wait)
            return []
        return [
            (
                (claimed.video, poll.following(claimed.video, step, now, asked_to_wait)),
                step.progressed,
            )
        ]

    def _keep_alone(
        self, video: Video, said: VideoTask | ApiError, now: datetime, asked_to_wait: float | None
    ) -> None:
        rows = Video.objects.primary().with_now()
        row = rows.filter(pk=video.pk, poll_token=video.poll_token).first()
        if row is None:
            return
        # Another task announces an end: receivers that are slow must not hold up other videos.
        message = poll.keep_answer(row, said, now, asked_to_wait, then=Video.send)
        if message is not None and message.progressed is not None:
            self.progressed.append(row)

    def _learn(self, claimed: _Claimed, said: VideoTask | ApiError) -> float | None:
        if not isinstance(said, (RateLimited, KeyRefused, KeyMissing)):
            return health.learn(claimed.video, said)
        # What was asked together is refused together: that is one strike.
        is_told = self._refused_at is not None and claimed.at <= self._refused_at
        if not is_told or (said.retry_after or 0.0) > (self._asked_to_wait or 0.0):
            self._asked_to_wait = health.learn(claimed.video, said)
            self._refused_at = monotonic()
        return self._asked_to_wait

    def _puzzled(self, claimed: _Claimed, error: Exception) -> Move:
        video, now = claimed.video, claimed.now(monotonic())
        logger.error("Video %s cannot be asked for (%s)", video, type(error).__name__)
        return video, poll.asked_next(now, self._settings.resend_after)
