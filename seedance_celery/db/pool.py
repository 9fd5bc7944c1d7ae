"""The few database connections that a worker keeps for the poll loop.

Celery closes a task's connection before and after each task, whatever `CONN_MAX_AGE` says, and a
poll is two short statements with a request between them. So the poll loop runs its statements on
connections of its own: they are lent for one statement each, so that hundreds of greenlets that
wait for the API share a few, and they outlive the task. No code of the project ever sees them.

Where the thread has a connection open already (in a transaction, in a test, in a web process),
that is used, as everywhere in Django.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from django.core import mail
from django.db import Error, InterfaceError, OperationalError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import get_settings
from . import clock

__all__ = [
    *("MAX_SESSIONS", "Session", "ask", "close_all", "close_old", "is_in_transaction", "keep"),
    *("once", "session"),
]

MAX_SESSIONS = 8
"""Connections to one database at most, in each process."""

T = TypeVar("T")


class Session:
    """A database connection, and what was compiled for it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.compiled: dict[Any, Any] = {}
        self.close_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection to the server."""
        return self.connection.connection is not None

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        with suppress(Error):  # the server may have been faster
            self.connection.close()


class _Pool:
    """The sessions with one database that nobody uses now."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._idle: deque[Session] = deque()
        self._free = threading.BoundedSemaphore(MAX_SESSIONS)

    @contextmanager
    def session(self) -> Iterator[Session]:
        with self._free:
            session = self._taken()
            try:
                yield session
            except BaseException:
                # Whatever it was (a time limit, too), the connection's state is unknown.
                session.close()
                raise
            self._idle.append(session)

    def _taken(self) -> Session:
        try:
            session = self._idle.pop()
        except IndexError:
            session = Session(_unshared(self._alias))
        if time.monotonic() >= session.close_at:
            session.close()
        if not session.is_open:
            session.close_at = time.monotonic() + _max_age(session.connection)
        return session

    def close(self, *, older_than: float | None = None) -> None:
        for _ in range(len(self._idle)):
            with suppress(IndexError):  # another thread took it
                session = self._idle.popleft()
                if older_than is None or older_than >= session.close_at:
                    session.close()
                else:
                    self._idle.append(session)


_pools: dict[str, _Pool] = {}
_inherited: list[_Pool] = []
_is_kept = False


def keep(*, is_worker: bool) -> None:
    """Keep connections from now on, or no longer: only a worker does."""
    global _is_kept
    _is_kept = is_worker
    if not is_worker:
        close_all()


def close_all() -> None:
    """Close what is idle."""
    for pool in list(_pools.values()):
        pool.close()


def close_old() -> None:
    """Close what is idle and older than `KEEP_CONNECTION`."""
    for pool in list(_pools.values()):
        pool.close(older_than=time.monotonic())


def _forget() -> None:
    # In a forked child: closing a connection would end it for the parent as well, and so would
    # the garbage collector.
    _inherited.extend(_pools.values())
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def session(alias: str) -> Iterator[Session]:
    """Lend a session for one statement: this thread's connection if it is open, or a kept one."""
    usual = _usual(alias)
    if usual is not None:
        with transaction.mark_for_rollback_on_error(alias):
            yield Session(usual)
        return
    pool = _pools.get(alias) or _pools.setdefault(alias, _Pool(alias))
    with pool.session() as kept:
        yield kept


def is_in_transaction(connection: Any) -> bool:
    """Tell whether an atomic block of the project's is open; a TestCase's own counts for none."""
    return any(not block._from_testcase for block in connection.atomic_blocks)


@contextmanager
def once(alias: str) -> Iterator[BaseDatabaseWrapper]:
    """Lend this thread's connection if it is open, or one that is closed after the block."""
    own = _open(alias)
    connection = own or _unshared(alias)
    try:
        yield connection
    finally:
        if own is None:
            connection.close()


def ask(alias: str, query: Callable[[Session], T]) -> T:
    """Run a query that changes nothing; again where a kept connection turns out to be dead."""
    was_open = False
    try:
        with session(alias) as lent:
            was_open = lent.is_open and lent.close_at > 0
            return query(lent)
    except (OperationalError, InterfaceError):
        if not was_open:
            raise
    # Where one was dead, the others are as well: the server has been restarted, for one.
    _pools[alias].close()
    with session(alias) as fresh:
        return query(fresh)


def _usual(alias: str) -> BaseDatabaseWrapper | None:
    """Return this thread's own connection where that is to be used, None for a kept one."""
    own = _open(alias)
    if own is not None:
        return own
    # Django's test environment has an outbox.
    if _is_kept and _is_keepable(alias) and clock.is_real() and not hasattr(mail, "outbox"):
        return None
    return connections[alias]


def _open(alias: str) -> BaseDatabaseWrapper | None:
    """Return this thread's own connection where it has one open."""
    for own in connections.all(initialized_only=True):
        if own.alias == alias and own.connection is not None:
            return own
    return None


def _is_keepable(alias: str) -> bool:
    settings = connections.settings[alias]
    # A database in memory is another one for each connection.
    is_in_memory = "sqlite" in settings["ENGINE"] and ":memory:" in str(settings["NAME"])
    is_in_memory |= "mode=memory" in str(settings["NAME"])
    return bool(settings["AUTOCOMMIT"] and get_settings().keep_connection and not is_in_memory)


def _unshared(alias: str) -> BaseDatabaseWrapper:
    """Return a connection that is not this thread's own, and belongs to no pool of the project."""
    connection = connections.create_connection(alias)
    options = {k: v for k, v in connection.settings_dict["OPTIONS"].items() if k != "pool"}
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}
    connection.inc_thread_sharing()
    return connection


def _max_age(connection: BaseDatabaseWrapper) -> float:
    own = connection.settings_dict["CONN_MAX_AGE"]
    kept = get_settings().keep_connection
    return min(kept, own) if own else kept
