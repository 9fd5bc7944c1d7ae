"""The columns of a video: what was asked for, what the API said of it, and when to ask again."""

from __future__ import annotations

import uuid
from datetime import datetime
from datetime import timezone as dt_timezone
from typing import Any, Final

from django.core.files.storage import Storage, storages
from django.core.signals import setting_changed
from django.db import models, router
from django.utils import timezone
from django.utils.functional import LazyObject, empty
from django.utils.translation import gettext_lazy as _

from ..api.replies import MAX_ID
from ..conf import get_settings
from ..db.fields import OpaqueField


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


class Columns(models.Model):
    """The columns, and what can be told from them alone."""

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
    api_id = OpaqueField(_("API id"), max_length=MAX_ID, null=True, blank=True)
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
    evidence = models.JSONField(_("evidence"), default=dict, blank=True)
    """What the API said when something went wrong, by `create`, `poll` and `end`: for people."""
    urlless_polls = models.PositiveSmallIntegerField(_("polls without a URL"), default=0)
    final_polls = models.PositiveSmallIntegerField(_("polls with a final word"), default=0)
    """How often in a row the API passed on the upstream's word for an end."""
    final_since = models.DateTimeField(_("final word since"), null=True, blank=True)
    resends = models.PositiveIntegerField(_("resends"), default=0)
    """How often the sweep started the loop again and it stayed unheard."""
    late_polls = models.PositiveSmallIntegerField(_("late polls"), default=0)
    timeout = models.FloatField(_("timeout"), default=3600.0)

    # The announcement of an end.
    announced_at = models.DateTimeField(_("announced at"), null=True, blank=True)
    announce_tries = models.PositiveSmallIntegerField(_("announce tries"), default=0)
    late = models.BooleanField(_("late"), default=False)

    # The create: what makes it happen once, for life.
    create_key = OpaqueField(_("create's key"), max_length=255, null=True, blank=True, unique=True)
    """The key of the kept `create_video` that buys this video."""
    idempotency_key = OpaqueField(_("idempotency key"), max_length=255, null=True, blank=True)
    order_digest = models.CharField(_("order's digest"), max_length=64, blank=True, default="")
    """A hash of what the caller asked for, to compare with a later order of the same key."""
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
    store_tries = models.JSONField(_("store tries"), null=True, blank=True)
    """What the downloads that brought no file came to so far, in times and numbers (`tries`)."""

    history = models.JSONField(_("history"), default=list, blank=True)
    """What changed when, for people: `[time, event]`, the newest last, capped."""

    created: bool = False
    """Whether the call that returned this object inserted its row (`generate_video`,
    `track_video`). False on an object from anywhere else."""

    # Brought along by `with_now()`.
    now: datetime
    troubled: bool
    has_poller: bool
    has_store: bool = False
    # Until when this create alone may find out whether the balance is back.
    probes_until: datetime | None = None
    # Until when the request for this video alone may find out whether a key in trouble works again.
    probe_until: datetime | None = None

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.api_id or str(self.pk)

    @property
    def is_finished(self) -> bool:
        """Whether the video has ended: nothing more comes, unless late or after a resume."""
        return self.finished_at is not None

    @property
    def lacks_link(self) -> bool:
        """Whether the API calls the video completed, and has given no link that can be used."""
        return self.status == self.Status.ERROR and self.urlless_polls > 0

    @property
    def is_ended_by_us(self) -> bool:
        """Whether the package decided the end, and not the API: the video may still complete.

        It has timed out, it lacks its link, or the API has passed on the upstream's word alone.
        """
        is_word = self.status == self.Status.FAILED and self.final_polls > 0
        return self.status == self.Status.TIMED_OUT or self.lacks_link or is_word

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
