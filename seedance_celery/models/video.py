"""A video: what was asked for, what the API said of it, and when to ask again."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection
from datetime import datetime
from datetime import timezone as dt_timezone
from functools import partial
from typing import Any, Final

from django.core.files.storage import Storage, storages
from django.core.signals import setting_changed
from django.db import DatabaseError, models, router, transaction
from django.utils import timezone
from django.utils.functional import LazyObject, empty
from django.utils.translation import gettext_lazy as _

from .. import clock, dbpool, dispatch, locks
from ..conf import get_settings
from ..row_errors import RowLockedError
from . import statements, walk
from .account import AccountState
from .actions import Actions
from .fields import OpaqueField
from .kept import KeptTask
from .poller import Poller
from .statements import Write

__all__ = ["Video"]

logger = logging.getLogger(__name__)

HISTORY_LENGTH: Final = 50


class _FileStorage(LazyObject):  # type: ignore[type-arg]
    """The storage that kept files go to, looked up at first use.

    A wrong setting is for the system checks to tell: it must not break the import of the models.
    """

    # What Django asks of a field's storage, without looking it up.
    __class__ = Storage  # type: ignore[assignment]

    def _setup(self) -> None:
        self._wrapped = storages[get_settings().storage]


_file_storage = _FileStorage()


def file_storage() -> Any:
    """Return the storage that kept files go to."""
    return _file_storage


def _forget_storage(*, setting: str, **kwargs: object) -> None:
    if setting in ("SEEDANCE", "STORAGES", "MEDIA_ROOT"):
        _file_storage._wrapped = empty  # type: ignore[assignment]


setting_changed.connect(_forget_storage, dispatch_uid="seedance_celery.models")


class VideoQuerySet(models.QuerySet["Video"]):
    def primary(self) -> VideoQuerySet:
        """Use the database that is written to: replicas lag behind what was just decided."""
        return self.using(router.db_for_write(self.model))

    def for_poll(self) -> VideoQuerySet:
        """Bring along the database's time as `video.now`, and what every poll must know.

        `video.troubled`: is its key? `video.has_poller`: do batch pollers ask for its account?
        """
        state = AccountState.objects.troubled().filter(name=models.OuterRef("account"))
        pollers = Poller.objects.on().filter(account=models.OuterRef("account"))
        # mypy takes the attributes that this brings along for fields.
        return self.annotate(  # type: ignore[no-redef]
            now=clock.now(), troubled=models.Exists(state), has_poller=models.Exists(pollers)
        )

    def with_now(self) -> VideoQuerySet:
        """Bring along, beside that, `video.has_store`: will a task keep the file that it lacks?"""
        stores = KeptTask.objects.storing().filter(video=models.OuterRef("pk"))
        lacks_file = models.When(status="completed", file="", then=models.Exists(stores))
        found = models.Case(lacks_file, default=False, output_field=models.BooleanField())
        return self.for_poll().annotate(has_store=found)  # type: ignore[no-redef]

    def find(self, pk: Any) -> Video | None:
        """Return the row of a pk with the database's time, by a statement compiled before."""
        alias = router.db_for_write(self.model)

        def look(session: dbpool.Session) -> Video | None:
            return statements.find(session, alias, self.model, self.for_poll, pk)

        return dbpool.ask(alias, look)

    def polled(self) -> VideoQuerySet:
        """Videos that the API has in work."""
        return self.filter(status__in=Video.POLLED)

    def next_poll(self, account: str, passed: Collection[Any] = ()) -> float | None:
        """Return in how many seconds the next video of an account is due; None where none is.

        Without those that were `passed` over because they cannot be changed.
        """
        rows = self.primary().polled().filter(account=account, next_poll_at__isnull=False)
        rows = rows.exclude(pk__in=passed) if passed else rows
        first = rows.for_poll().only("next_poll_at").order_by("next_poll_at").first()
        if first is None or first.next_poll_at is None:
            return None
        return (first.next_poll_at - first.now).total_seconds()

    def unfinished(self) -> VideoQuerySet:
        """Videos that have not ended."""
        return self.filter(finished_at__isnull=True)


class Video(Actions, models.Model):
    """One video. Its status moves only by guarded updates: whoever wins one goes on."""

    class Status(models.TextChoices):
        CREATING = "creating", _("creating")
        QUEUED = "queued", _("queued")
        IN_PROGRESS = "in_progress", _("in progress")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        ERROR = "error", _("error")
        REJECTED = "rejected", _("rejected")
        CREATE_UNKNOWN = "create_unknown", _("create unknown")
        TIMED_OUT = "timed_out", _("timed out")
        LOST = "lost", _("lost")

    POLLED: Final = (Status.QUEUED, Status.IN_PROGRESS)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    api_id = OpaqueField(_("API id"), max_length=255, null=True, blank=True)
    account = models.CharField(_("account"), max_length=64, default="default")
    model = models.CharField(_("model"), max_length=100, blank=True)
    prompt = models.TextField(_("prompt"), blank=True)
    seconds = models.PositiveIntegerField(_("seconds"), null=True, blank=True)
    size = models.CharField(_("size"), max_length=32, blank=True)
    images = models.JSONField(_("images"), default=list, blank=True)
    """Storage names, as `[name, is_copy]`: copies are ours, and are removed after the create."""
    status = models.CharField(
        _("status"), max_length=16, choices=Status.choices, default=Status.CREATING
    )
    progress = models.PositiveSmallIntegerField(_("progress"), default=0)
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    video_url = models.TextField(_("video URL"), blank=True)
    file = models.FileField(_("file"), max_length=500, blank=True, storage=file_storage)
    file_size = models.PositiveBigIntegerField(_("file size"), null=True, blank=True)
    sha256 = models.CharField(_("SHA-256"), max_length=64, blank=True)
    metadata = models.JSONField(_("metadata"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    deadline_at = models.DateTimeField(_("deadline at"), null=True, blank=True)

    # What the API said.
    api_status = models.CharField(_("API status"), max_length=64, blank=True)
    api_created_at = models.BigIntegerField(_("API created at"), null=True, blank=True)
    api_completed_at = models.BigIntegerField(_("API completed at"), null=True, blank=True)
    create_reply = models.JSONField(_("create reply"), null=True, blank=True)
    raw = models.JSONField(_("raw answer"), null=True, blank=True)
    request_id = models.CharField(_("request id"), max_length=128, blank=True)
    is_known = models.BooleanField(_("known to the API"), default=False)

    # The poll loop.
    polls = models.PositiveIntegerField(_("polls"), default=0)
    """How often the API was asked."""
    rendering_since = models.DateTimeField(_("in progress since"), null=True, blank=True)
    """When it was first seen in progress: halfway from the answer before."""
    poll_token = models.PositiveBigIntegerField(_("poll token"), default=0)
    """The fence: only the message that names it may act, and each step moves it on."""
    next_poll_at = models.DateTimeField(_("next poll at"), null=True, blank=True)
    """Not before then; null once nothing is asked any more."""
    overdue_at = models.DateTimeField(_("overdue at"), null=True, blank=True)
    """When the sweep acts; null once there is nothing left to do for this row."""
    asked_at = models.DateTimeField(_("asked at"), null=True, blank=True)
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)
    missing_since = models.DateTimeField(_("missing since"), null=True, blank=True)
    errors = models.PositiveIntegerField(_("errors in a row"), default=0)
    last_error = models.CharField(_("last error"), max_length=300, blank=True)
    urlless_polls = models.PositiveSmallIntegerField(_("polls without a URL"), default=0)
    resends = models.PositiveIntegerField(_("resends"), default=0)
    """How often the sweep started the loop again and it stayed unheard."""
    late_polls = models.PositiveSmallIntegerField(_("late polls"), default=0)
    timeout = models.FloatField(_("timeout"), default=3600.0)

    # The announcement of an end.
    announced_at = models.DateTimeField(_("announced at"), null=True, blank=True)
    announce_tries = models.PositiveSmallIntegerField(_("announce tries"), default=0)
    late = models.BooleanField(_("late"), default=False)

    # The create: what makes it happen once, for life.
    create_celery_id = OpaqueField(
        _("create's Celery id"), max_length=255, null=True, blank=True, unique=True
    )
    idempotency_key = OpaqueField(_("idempotency key"), max_length=255, null=True, blank=True)
    post_started_at = models.DateTimeField(_("POST started at"), null=True, blank=True)
    create_tries = models.PositiveSmallIntegerField(_("create tries"), default=0)
    in_line_since = models.DateTimeField(_("in line since"), null=True, blank=True)
    """Since when the create waits for its turn (`MAX_IN_FLIGHT`); that uses up no timeout."""
    turn_at = models.DateTimeField(_("turn at"), null=True, blank=True)
    """When its turn came, or it was bought again: what the timeout of sending it counts from."""

    # The file.
    store_wanted = models.BooleanField(_("store when completed"), default=False)
    store_lease_until = models.DateTimeField(_("store lease until"), null=True, blank=True)
    store_error = models.CharField(_("store error"), max_length=300, blank=True)

    history = models.JSONField(_("history"), default=list, blank=True)
    """What changed when, for people: `[time, event]`, the newest last, capped."""

    objects = VideoQuerySet.as_manager()

    # Brought along by `with_now()`.
    now: datetime
    troubled: bool
    has_poller: bool
    has_store: bool = False
    # Until when this create alone may find out whether the balance is back.
    probes_until: datetime | None = None

    class Meta:
        verbose_name = _("video")
        verbose_name_plural = _("videos")
        ordering = ["-created_at"]
        get_latest_by = "created_at"
        permissions = [
            ("buy_video", _("Can buy an unknown video again")),
            ("abandon_video", _("Can give up a video or stop what waits for it")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["api_id", "account"], name="seedance_api_id"),
            models.UniqueConstraint(
                fields=["account", "idempotency_key"], name="seedance_idempotency_key"
            ),
        ]
        indexes = [
            models.Index(fields=["overdue_at"], name="seedance_overdue"),
            models.Index(fields=["account", "next_poll_at"], name="seedance_due"),
            models.Index(fields=["status", "created_at"], name="seedance_status"),
            models.Index(fields=["-created_at"], name="seedance_created"),
        ]

    def __str__(self) -> str:
        return self.api_id or str(self.pk)

    @property
    def is_finished(self) -> bool:
        """Whether the video has ended: nothing more comes, unless late or after a resume."""
        return self.finished_at is not None

    @property
    def begun_at(self) -> datetime:
        """When the video began: at its create, or when the API says, where others created it."""
        if self.post_started_at is not None:
            return self.post_started_at
        said = self.api_created_at or 0
        if 0 < said < self.created_at.timestamp():
            return datetime.fromtimestamp(said, dt_timezone.utc)
        return self.created_at

    @property
    def is_polled(self) -> bool:
        """Whether the API has the video in work."""
        return self.status in self.POLLED

    @property
    def db(self) -> str:
        """The alias of the database that this row is written to."""
        return router.db_for_write(type(self), instance=self)

    @staticmethod
    def unfinished_error(video: Video) -> models.ProtectedError:
        """Return the error for deleting a video that has not ended."""
        message = "This video is paid for and has not ended. Delete it once it has."
        return models.ProtectedError(message, {video})

    def current(self) -> Video:
        """Read the row anew, with the database's time as `now`."""
        return type(self).objects.primary().with_now().get(pk=self.pk)

    def noted(self, event: str) -> list[list[str]]:
        """Return the history with one event more."""
        entry = [self.now.isoformat(timespec="seconds"), event]
        return [*self.history, entry][-HISTORY_LENGTH:]

    def move(self, statuses: Collection[str], **changes: Any) -> bool:
        """Make one guarded update, fenced by the token that this row was read with.

        Moves the token on and returns whether the update won. Only a winner may go on. Within
        `locks.brief()`, raises `RowLockedError` where somebody has locked the row for longer.
        """
        guards = {"poll_token": [self.poll_token], "status": statuses}
        changes["poll_token"] = self.poll_token + 1
        wait = locks.patience()
        if wait is None:
            won = self._moved(changes, guards, is_brief=False)
        else:
            won = locks.tried(partial(self._moved, changes, guards, is_brief=True), wait)
        if won:
            for name, value in changes.items():
                setattr(self, name, value)
        return won

    def _moved(
        self, changes: dict[str, Any], guards: dict[str, Collection[Any]], *, is_brief: bool
    ) -> bool:
        if not statements.is_plain(changes):
            rows = type(self).objects.primary().filter(pk=self.pk)
            rows = rows.filter(**{f"{name}__in": guards[name] for name in guards})
            return locks.change(rows, **changes) if is_brief else bool(rows.update(**changes))
        with dbpool.session(self.db) as session:
            write = statements.update(session, self, changes, guards, is_brief=is_brief)
        if write is Write.LOCKED:
            raise RowLockedError(f"video {self.pk} is locked by somebody else")
        return write is Write.DONE

    def send(self, countdown: float = 0) -> bool:
        """Send the poll loop's message with the token of this row; return whether it went."""
        message = (str(self.pk), self.poll_token)
        return dispatch.send(dispatch.REFRESH, message, **dispatch.delay(countdown))

    def call(self, countdown: float = 0) -> None:
        """Have the row looked at on commit; what cannot be sent is the sweep's."""
        begin = self._call_poller if self.is_polled and dispatch.in_batches() else self.send
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
            celery_id=celery_id,
            defaults={
                "task": name,
                "video": self,
                "signature": dispatch.signature_text(name, [argument], task_id=celery_id),
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
        waiting = KeptTask.objects.using(self.db).filter(video=self, task__in=names)
        is_complete, is_sent = True, True
        for kept in waiting.make_due(get_settings().resend_after):
            if kept.due_at is None:
                is_complete = False
            elif is_sent:
                # Where the broker is away, the sweep sends the rest.
                with walk.alone(kept):
                    is_sent = kept.send()
        return is_complete
