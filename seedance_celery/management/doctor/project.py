"""Probes of the Django project: settings, keys, database, migrations, storage."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timezone

from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connections
from django.db.models import Max
from django.db.models.functions import Coalesce

from ...checks.messages import TAG
from ...checks.schema import unapplied
from ...conf import Account, get_settings
from ...db import clock
from ...models import Video
from .findings import Found, bad, good, unsure

__all__ = [
    "look_at_clock",
    "look_at_database",
    "look_at_keys",
    "look_at_migrations",
    "look_at_settings",
    "look_at_storage",
]

TOLERANCE = 5.0
"""Seconds by which clocks may differ before it is worth a line."""
SHORTEST_SHOWN = 16
"""Characters that a key has at least, if two of them are shown."""


def look_at_settings() -> Iterator[Found]:
    """Run the system checks of this package."""
    found = checks.run_checks(tags=[TAG])
    for message in found:
        tell = bad if message.level >= checks.ERROR else unsure
        yield tell(f"{message.id}: {message.msg}", str(message.hint or ""))
    if not found:
        yield good("no system check complains")


def look_at_keys() -> Iterator[Found]:
    """Ask for each account's key, and show as good as nothing of it."""
    for account in get_settings().accounts.values():
        yield _look_at_key(account)


def _look_at_key(account: Account) -> Found:
    try:
        key = account.key().strip()
    except Exception as error:  # noqa: BLE001  (a secret manager may raise anything)
        message = f"{account.name}: asking for the key raised {type(error).__name__}"
        return bad(message, "Call the callable in API_KEY in a shell.")
    if not key:
        return bad(f"{account.name}: no key", "Set COMETAPI_KEY or SEEDANCE['API_KEY'].")
    end = f", ending in {key[-2:]}" if len(key) >= SHORTEST_SHOWN else ""
    return good(f"{account.name}: {len(key)} characters{end}, for {account.base_url}")


def look_at_database() -> Iterator[Found]:
    """Ask the database that is written to for an answer."""
    alias = Video.objects.primary().db
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")
    yield good(f"{connections[alias].display_name} ({alias}) answers")


def look_at_clock() -> Iterator[Found]:
    """Compare this machine's time with the database's."""
    rows = Video.objects.primary()
    # Of no row there is no maximum: what comes is the time, whatever the table holds.
    nothing = rows.filter(pk=uuid.uuid4())
    then = nothing.aggregate(now=Coalesce(Max("created_at"), clock.now()))["now"]
    off = (datetime.now(timezone.utc) - then).total_seconds()
    if abs(off) > TOLERANCE:
        message = f"this machine's clock is {off:+.0f} s off the database's, which decides"
        yield unsure(message, "Set the clocks by NTP: log lines and messages carry this one.")
    else:
        yield good(f"within {TOLERANCE:.0f} s of the database's")


def look_at_migrations() -> Iterator[Found]:
    """Compare the migrations with those that the database has seen."""
    missing = unapplied()
    if missing:
        yield bad(f"not applied: {', '.join(missing)}", "Run manage.py migrate.")
    else:
        yield good("all are applied")


def look_at_storage() -> Iterator[Found]:
    """Write a tiny file, read it and delete it."""
    alias = get_settings().storage
    storage = storages[alias]
    content = uuid.uuid4().hex.encode()
    name = storage.save(f"seedance/doctor-{uuid.uuid4().hex}.txt", ContentFile(content))
    try:
        with storage.open(name) as file:
            is_same = file.read() == content
    finally:
        storage.delete(name)
    kind = type(storage).__name__
    if is_same:
        yield good(f"{kind} ({alias}) keeps, returns and deletes a file")
    else:
        hint = "Look for a cache or a proxy before the storage."
        yield bad(f"{kind} ({alias}) returned something else than what it was given", hint)
