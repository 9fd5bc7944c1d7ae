"""A small pool of database connections that a worker keeps for the poll loop.

Celery closes a task's connection before and after each task, whatever `CONN_MAX_AGE` says. A poll
is only two short statements with a request between them, so opening a connection would cost more
than the poll. The poll loop therefore runs its statements on pooled connections, which outlive the
task. Each is lent for one statement, so a few connections serve hundreds of greenlets that wait
for the API. The project's own code never sees these connections.

If the current thread already has a connection open (in a transaction, a test or a web process),
the statement runs on that connection, as everywhere in Django.
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

MAX_SESSIONS = 8
"""How many connections to one database a process pools at most."""

T = TypeVar("T")


class Session:
    """A database connection, with the statements that were compiled for it."""

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
    """The idle sessions with one database."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._idle: deque[Session] = deque()
        self._free = threading.BoundedSemaphore(MAX_SESSIONS)

    @contextmanager
    def session(self) -> Iterator[Session]:
        with self._free:
            session = self._take()
            try:
                yield session
            except BaseException:
                # After any exception, a time limit's included, the state of the connection is
                # unknown.
                session.close()
                raise
            self._idle.append(session)

    def _take(self) -> Session:
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
_is_pooling = False


def start() -> None:
    """Pool connections from now on. Only a worker does."""
    global _is_pooling
    _is_pooling = True


def stop() -> None:
    """Pool no connections any more, and close the idle ones."""
    global _is_pooling
    _is_pooling = False
    close_all()


def close_all() -> None:
    """Close the idle connections."""
    for pool in list(_pools.values()):
        pool.close()


def close_old() -> None:
    """Close the idle connections that are older than `KEEP_CONNECTION`."""
    for pool in list(_pools.values()):
        pool.close(older_than=time.monotonic())


def _forget_inherited() -> None:
    # This runs in a forked child. Closing a connection here would also end it for the parent, and
    # so would the garbage collector: the child keeps a reference and never uses it.
    _inherited.extend(_pools.values())
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited)


@contextmanager
def session(alias: str) -> Iterator[Session]:
    """Lend a session for one statement: on this thread's open connection, or a pooled one."""
    own = _own_connection(alias)
    if own is not None:
        with transaction.mark_for_rollback_on_error(alias):
            yield Session(own)
        return
    pool = _pools.get(alias) or _pools.setdefault(alias, _Pool(alias))
    with pool.session() as pooled:
        yield pooled


def is_in_transaction(connection: Any) -> bool:
    """Tell whether the project has an atomic block open. A TestCase's own block does not count."""
    return any(not block._from_testcase for block in connection.atomic_blocks)


@contextmanager
def borrowed(alias: str) -> Iterator[BaseDatabaseWrapper]:
    """Lend this thread's open connection, or a new one that is closed after the block."""
    own = _open_connection(alias)
    connection = own or _unshared(alias)
    try:
        yield connection
    finally:
        if own is None:
            connection.close()


def read(alias: str, query: Callable[[Session], T]) -> T:
    """Run a query that changes nothing, and run it again if the pooled connection was dead."""
    was_open = False
    try:
        with session(alias) as lent:
            was_open = lent.is_open and lent.close_at > 0
            return query(lent)
    except (OperationalError, InterfaceError):
        if not was_open:
            raise
    # If one pooled connection is dead, the others probably are as well: the server was restarted.
    _pools[alias].close()
    with session(alias) as fresh:
        return query(fresh)


def _own_connection(alias: str) -> BaseDatabaseWrapper | None:
    """Return this thread's own connection if it is the one to use, or None for a pooled one."""
    own = _open_connection(alias)
    if own is not None:
        return own
    # `mail.outbox` exists only in Django's test environment, where each test has one connection.
    if _is_pooling and _is_poolable(alias) and clock.is_real() and not hasattr(mail, "outbox"):
        return None
    return connections[alias]


def _open_connection(alias: str) -> BaseDatabaseWrapper | None:
    """Return this thread's own connection if it has one open."""
    for own in connections.all(initialized_only=True):
        if own.alias == alias and own.connection is not None:
            return own
    return None


def _is_poolable(alias: str) -> bool:
    settings = connections.settings[alias]
    # A database in memory exists once for each connection.
    is_in_memory = "sqlite" in settings["ENGINE"] and ":memory:" in str(settings["NAME"])
    is_in_memory |= "mode=memory" in str(settings["NAME"])
    return bool(settings["AUTOCOMMIT"] and get_settings().keep_connection and not is_in_memory)


def _unshared(alias: str) -> BaseDatabaseWrapper:
    """Return a connection that is neither this thread's own nor from a pool of the project."""
    connection = connections.create_connection(alias)
    options = {k: v for k, v in connection.settings_dict["OPTIONS"].items() if k != "pool"}
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": options}
    connection.inc_thread_sharing()
    return connection


def _max_age(connection: BaseDatabaseWrapper) -> float:
    own = connection.settings_dict["CONN_MAX_AGE"]
    longest = get_settings().keep_connection
    return min(longest, own) if own else longest
