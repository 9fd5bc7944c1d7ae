"""The tasks that ask for many videos at once, where `POLLER` is "batch": one row for each.

A poller is a loop as a video's is: a message that names a token, and a time at which the sweep
sends it again. It is off while the API has no video of its account in work.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models, router
from django.utils.translation import gettext_lazy as _

from .. import sending
from ..conf import get_settings
from ..db import clock, locks
from ..db.row_errors import RowLockedError

__all__ = ["Poller"]

SOON_ENOUGH = timedelta(seconds=1)
"""By how much a poller may come later than it is wanted."""


class PollerQuerySet(models.QuerySet["Poller"]):
    def primary(self) -> PollerQuerySet:
        """Use the database that is written to."""
        return self.using(router.db_for_write(self.model))

    def with_now(self) -> PollerQuerySet:
        """Bring along the database's time as `poller.now`."""
        return self.annotate(now=clock.now())  # type: ignore[no-redef]

    def on(self) -> PollerQuerySet:
        """Pollers whose message is on its way, or that run: as far as anybody can know."""
        return self.filter(overdue_at__gt=clock.now())

    def of(self, account: str) -> list[Poller]:
        """Return the pollers that an account may have, as they are now."""
        count = get_settings().batch_tasks
        rows = self.primary().with_now().filter(account=account, number__lt=count)
        found = list(rows)
        if len(found) < count:
            for number in range(count):
                self.primary().get_or_create(account=account, number=number)
            found = list(rows.all())
        return found

    def call(self, account: str, wait: float = 0.0) -> int:
        """Let the pollers of an account come in `wait` seconds, or sooner where they do anyway.

        Returns how many were called.
        """
        return sum(poller.call(wait) for poller in self.of(account))

    def begin(self, account: str, number: int, token: int) -> Poller | None:
        """Take a poller over for the message that names its token; None for a stale one."""
        rows = self.primary().filter(account=account, number=number)
        lease = clock.after(get_settings().resend_after)
        mine = {"token": token + 1, "next_at": clock.now(), "overdue_at": lease, "sends": 0}
        if not locks.change(rows.filter(token=token), **mine):
            return None
        return rows.with_now().filter(token=token + 1).first()


class Poller(models.Model):
    """One task that asks for the due videos of an account, and comes again."""

    account = models.CharField(_("account"), max_length=64)
    number = models.PositiveSmallIntegerField(_("number"))
    """From 0: an account may have several."""
    token = models.PositiveBigIntegerField(_("token"), default=1)
    """The fence: only the message that names it may begin, and it moves it on."""
    next_at = models.DateTimeField(_("next at"), null=True, blank=True)
    """When its message comes, or since when it runs; null while it rests."""
    overdue_at = models.DateTimeField(_("overdue at"), null=True, blank=True)
    """When the sweep sends it again; null while it is off."""
    sends = models.PositiveIntegerField(_("sends"), default=0)
    """How often it was sent again and stayed unheard."""

    objects = PollerQuerySet.as_manager()

    # Brought along by `with_now()`.
    now: datetime

    class Meta:
        verbose_name = _("poller")
        verbose_name_plural = _("pollers")
        constraints = [
            models.UniqueConstraint(fields=["account", "number"], name="seedance_poller"),
        ]

    def __str__(self) -> str:
        return f"{self.account}/{self.number}"

    @property
    def is_on(self) -> bool:
        """Whether its message is on its way, or it runs, and neither is overdue."""
        return self.overdue_at is not None and self.overdue_at > self.now

    def call(self, wait: float) -> bool:
        """Send its message, unless it comes as soon anyway; return whether it was sent.

        The token stays: whichever copy comes first moves it on, and the others are stale.
        """
        at = self.now + timedelta(seconds=wait)
        if self.is_on and self.next_at is not None and self.next_at <= at + SOON_ENOUGH:
            return False
        overdue_at = at + timedelta(seconds=get_settings().resend_after)
        if not self._move(next_at=at, overdue_at=overdue_at, sends=0):
            return False
        return self.send(wait)

    def call_again(self, wait: float, sends: int) -> bool:
        """Send what is overdue again, and wait so many seconds before the next time."""
        later = self.now + timedelta(seconds=wait)
        return self._move(overdue_at=later, sends=sends) and self.send()

    def _move(self, **changes: Any) -> bool:
        rows = type(self).objects.primary().filter(pk=self.pk, token=self.token)
        as_read = {"next_at": self.next_at, "overdue_at": self.overdue_at}
        for name, value in as_read.items():
            rows = rows.filter(**{f"{name}__isnull": True} if value is None else {name: value})
        return locks.change(rows, **changes)

    def send(self, wait: float = 0.0) -> bool:
        """Send its message; what cannot be sent is the sweep's, soon."""
        message = (self.account, self.number, self.token)
        if sending.send(sending.BATCH, message, **sending.delay(wait)):
            return True
        locks.update(self._mine(), overdue_at=clock.after(1))
        return False

    # What the task does that began.

    def _mine(self) -> PollerQuerySet:
        return type(self).objects.primary().filter(pk=self.pk, token=self.token)

    def renew(self) -> bool:
        """Stay on; return whether this task still is the one that runs.

        Where somebody has locked the row, nobody else can have taken it over.
        """
        try:
            return locks.change(self._mine(), overdue_at=clock.after(get_settings().resend_after))
        except RowLockedError:
            return True

    def rest(self) -> Poller | None:
        """Say that nothing is claimed any more; return the row as it is then, None where lost.

        What starts later calls the poller. So look only now whether something is left to do.
        """
        lease = clock.after(get_settings().resend_after)
        if not locks.change(self._mine(), next_at=None, overdue_at=lease):
            return None
        return self._mine().with_now().first()

    def stop(self) -> None:
        """Go off, unless somebody has called it meanwhile."""
        locks.update(self._mine().filter(next_at__isnull=True), overdue_at=None)
