"""The row of a video as the package moves it: guarded updates, and what they send on commit."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, transaction

from .. import sending
from ..conf import get_settings
from ..db import clock, locks, pool, statements
from ..db.history import Noted
from ..db.row_errors import RowLockedError
from ..db.statements import Write
from . import walk
from .columns import Columns
from .kept import KeptTask
from .poller import Poller

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)


class Row(Columns):
    """A row whose status moves only by guarded updates: whoever wins one goes on."""

    class Meta(Columns.Meta):
        abstract = True

    def current(self) -> Self:
        """Read the row anew, with the database's time as `now`."""
        # The manager of the abstract model does not know the querysets of the real one.
        rows: Any = type(self)._default_manager
        row: Self = rows.primary().with_now().get(pk=self.pk)
        return row

    def noted(self, event: str) -> Noted:
        """Return the value for an update of `history` that adds an event to what is there then."""
        return Noted(self.now.isoformat(timespec="seconds"), event)

    def move(self, statuses: Collection[str], **changes: Any) -> bool:
        """Make one guarded update, fenced by the token that this row was read with.

        Moves the token on and returns whether the update won. Only a winner may go on. Within
        `locks.brief()`, raises `RowLockedError` where somebody has locked the row for longer.
        """
        guards = {"poll_token": [self.poll_token], "status": statuses}
        changes["poll_token"] = self.poll_token + 1
        wait = locks.patience()
        if wait is None:
            won = self._move(changes, guards, is_brief=False)
        else:
            won = locks.tried(partial(self._move, changes, guards, is_brief=True), wait)
        if won:
            for name, value in changes.items():
                if not isinstance(value, Noted):
                    setattr(self, name, value)
                elif name in vars(self):  # else it was left out of the query
                    setattr(self, name, value.after(vars(self)[name]))
        return won

    def _move(
        self, changes: dict[str, Any], guards: dict[str, Collection[Any]], *, is_brief: bool
    ) -> bool:
        if not statements.is_plain(changes):
            rows = type(self)._default_manager.using(self.db).filter(pk=self.pk)
            rows = rows.filter(**{f"{name}__in": guards[name] for name in guards})
            return locks.change(rows, **changes) if is_brief else bool(rows.update(**changes))
        with pool.session(self.db) as session:
            write = statements.update(session, self, changes, guards, is_brief=is_brief)
        if write is Write.LOCKED:
            raise RowLockedError(f"video {self.pk} is locked by somebody else")
        return write is Write.DONE

    def send(self, countdown: float = 0) -> bool:
        """Send the poll loop's message with the token of this row; return whether it went."""
        message = (str(self.pk), self.poll_token)
        return sending.send(sending.REFRESH, message, **sending.delay(countdown))

    def call(self, countdown: float = 0) -> None:
        """Have the row looked at on commit; what cannot be sent is the sweep's."""
        begin = self._call_poller if self.is_polled and sending.in_batches() else self.send
        transaction.on_commit(partial(begin, countdown), using=self.db)

    def _call_poller(self, countdown: float) -> None:
        try:
            Poller.objects.call(self.account, countdown)
        except DatabaseError as error:
            # The caller has committed: it is not told of what the sweep makes good.
            logger.info("Video %s waits for the sweep (%s)", self, type(error).__name__)

    def keep(
        self, name: str, argument: Any, celery_id: str | None = None, *, send: bool = True
    ) -> bool:
        """Keep and send a task of ours for this video, on commit; return whether it is new.

        With `send=False` the sweep sends it, unless it is finished by then.
        """
        celery_id = celery_id or str(uuid.uuid4())
        kept, is_new = KeptTask.objects.using(self.db).get_or_create(
            key=celery_id,
            defaults={
                "celery_id": celery_id,
                "task": name,
                "video_id": self.pk,
                "signature": sending.signature_text(name, [argument], task_id=celery_id),
                "due_at": clock.after(get_settings().resend_after),
            },
        )
        if is_new and send:
            transaction.on_commit(kept.send, using=self.db)
        return is_new

    def release(self, *names: str) -> bool:
        """Send the kept tasks of these names that wait for this video.

        Returns whether none was left parked: one that is locked is to be released later.
        """
        waiting = KeptTask.objects.using(self.db).filter(video=self.pk, task__in=names)
        is_complete, is_sent = True, True
        for kept in waiting.make_due(get_settings().resend_after):
            if kept.due_at is None:
                is_complete = False
            elif is_sent:
                # If the broker is away, the sweep sends the rest.
                with walk.alone(kept):
                    is_sent = kept.send()
        return is_complete
