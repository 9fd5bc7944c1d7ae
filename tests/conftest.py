"""Fixtures for every test; `tests/harness` does the work."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from .harness import brokers, databases, services
from .harness.delayed import DelayedQueues
from .harness.site import Site
from .project.addresses import database_settings

SiteFactory = Callable[..., Site]


def matrix(core: tuple[str, ...], every: tuple[str, ...]) -> list[Any]:
    """Return parameters for each of `every`; those that are not `core` run in the full matrix."""
    return [k if k in core else pytest.param(k, marks=pytest.mark.full) for k in every]


@contextmanager
def _sites() -> Iterator[SiteFactory]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Site(**options))


@pytest.fixture
def new_site() -> Iterator[SiteFactory]:
    """Make sites that end with the test."""
    with _sites() as factory:
        yield factory


@pytest.fixture(scope="module")
def new_shared_site() -> Iterator[SiteFactory]:
    """Make sites that end with the module."""
    with _sites() as factory:
        yield factory


@pytest.fixture(scope="session")
def _databases() -> Iterator[dict[str, databases.Database]]:
    made: dict[str, databases.Database] = {}
    yield made
    for database in made.values():
        database.drop()


@pytest.fixture(params=databases.KINDS)
def database(
    request: pytest.FixtureRequest,
    django_db_blocker: DjangoDbBlocker,
    _databases: dict[str, databases.Database],
) -> Iterator[databases.Database]:
    """Run an in-process test on a real SQLite file, PostgreSQL and MariaDB.

    Threads and transactions are as in production; the tables are emptied after the test. Not
    together with `db`.
    """
    from django.contrib.contenttypes.models import ContentType

    kind = request.param
    if kind not in _databases:
        _databases[kind] = databases.create(kind)
    with django_db_blocker.unblock(), default_connection(_databases[kind].url):
        # Each database, and each flush, gives the models other content types.
        ContentType.objects.clear_cache()
        yield _databases[kind]
        call_command("flush", interactive=False, verbosity=0)
    ContentType.objects.clear_cache()


@contextmanager
def default_connection(url: str) -> Iterator[None]:
    """Let another database be this process's default one until the block ends."""
    usual, usual_connection = connections.settings["default"], connections["default"]
    connections.settings["default"] = {**usual, **database_settings(url)}
    del connections["default"]
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = usual
        connections["default"] = usual_connection


BEGUN = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--budget", type=float, help="seconds after which the tests that are left are skipped"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    budget = item.config.getoption("--budget")
    if budget is not None and time.monotonic() - BEGUN > budget:
        pytest.skip("beyond the time that --budget gives")


_delayed_queues: list[DelayedQueues] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # its controller does it for all
    if services.REDIS.listens:
        brokers.forget_stale_keys()
    if services.RABBITMQ.listens:
        _delayed_queues.append(DelayedQueues())


def pytest_sessionfinish(session: pytest.Session) -> None:
    for queues in _delayed_queues:
        queues.release()
