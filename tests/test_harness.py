"""The harness itself: what it starts works, what it cuts is cut, and nothing of it stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from . import conftest
from .harness import brokers, databases, names, services
from .harness.delayed import DelayedQueues
from .harness.processes import ROOT, is_alive
from .harness.waiting import WaitFailed, wait_until
from .harness.worker import POOLS
from .project import drive

PLAIN = {"simulator": False, "database": "sqlite", "results_in": "none"}


def count_users() -> int:
    return get_user_model().objects.count()


def add_user(name: str) -> None:
    get_user_model().objects.create_user(name)


def fail() -> None:
    raise LookupError("on purpose")


@pytest.mark.parametrize("kind", brokers.KINDS)
def test_a_worker_runs_tasks_and_nothing_of_it_stays(
    new_site: conftest.SiteFactory, kind: str
) -> None:
    site = new_site(broker=kind, **PLAIN)
    worker = site.worker(pool="prefork")
    pids = worker.pids()

    countdown = site.broker.shortest_countdown
    site.call(drive.send, "tests.again", "a", kwargs={"times": 2, "countdown": countdown})
    found = site.events.wait(3, event="task", name="again", tag="a")

    assert [event["retries"] for event in found] == [0, 1, 2]
    assert len({event["celery_id"] for event in found}) == 1
    assert len(pids) > 1
    site.close()
    wait_until(lambda: not any(map(is_alive, pids)), 30, "the worker's processes are gone")
    assert not site.folder.exists()
    assert not databases.exists(site.database)
    if kind == "redis":
        assert brokers.keys(site.broker.name) == 0
    elif kind != "sqla":
        assert site.broker.depth() == 0


@pytest.mark.parametrize("pool", POOLS)
def test_a_killed_worker_loses_what_it_did_and_another_goes_on(
    new_site: conftest.SiteFactory, pool: str
) -> None:
    site = new_site(broker="rabbitmq", **PLAIN, celery={"task_acks_late": True})
    first = site.worker(pool=pool)
    site.call(drive.send, "tests.slow", None, "a", 30)
    (start,) = site.events.wait(event="task", name="slow", tag="a")

    first.kill()
    assert not first.group()
    second = site.worker(pool=pool)
    again = site.events.wait(2, event="task", name="slow", tag="a")[1]

    assert start["celery_id"] == again["celery_id"]
    assert site.events.count(event="task", name="slow-end") == 0
    second.kill()


def test_a_warm_stop_lets_the_task_end(new_site: conftest.SiteFactory) -> None:
    site = new_site(broker="redis", **PLAIN)
    worker = site.worker()
    site.call(drive.send, "tests.slow", None, "a", 1)
    site.events.wait(event="task", name="slow", tag="a")

    assert worker.term() == 0
    assert site.events.count(event="task", name="slow-end", tag="a") == 1


def test_a_trap_kills_one_pool_child_once(new_site: conftest.SiteFactory) -> None:
    late = {"task_acks_late": True, "task_reject_on_worker_lost": True}
    site = new_site(broker="redis", **PLAIN, celery=late)
    site.worker(pool="prefork")
    site.trap("task.tests.keep", "kill")

    site.call(drive.send, "tests.keep", 7, "a")
    site.events.wait(event="task", name="keep", tag="a", value=7)

    assert site.events.count(event="trap", name="task.tests.keep") == 1
    assert site.events.count(event="task", name="keep") == 1


def test_a_cut_broker_is_refused_and_comes_back(new_site: conftest.SiteFactory) -> None:
    site = new_site(broker="redis", **PLAIN, proxied=["broker"])
    site.worker(pool="threads")
    site.call(drive.send, "tests.keep", 1, "a")
    site.events.wait(event="task", tag="a")
    proxy = site.proxies["broker"]

    proxy.cut()
    with pytest.raises(AssertionError, match="OperationalError"):
        site.call(drive.send, "tests.keep", 2, "b", retry=False)
    assert proxy.open_connections == 0
    proxy.restore()

    site.call(drive.send, "tests.keep", 3, "c")
    site.events.wait(event="task", tag="c")
    assert site.events.count(event="task", tag="b") == 0


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_cut_database_fails_and_comes_back(new_site: conftest.SiteFactory, kind: str) -> None:
    options = {"results_in": "none", "simulator": False, "broker": "sqla"}
    site = new_site(database=kind, proxied=["database"], **options)
    assert site.call(count_users) == 0

    site.proxies["database"].cut()
    with pytest.raises(AssertionError, match="OperationalError"):
        site.call(count_users)
    site.proxies["database"].restore()

    site.call(add_user, "kite")
    assert site.call(count_users) == 1


def test_a_stalled_proxy_passes_nothing_until_it_is_restored(
    new_site: conftest.SiteFactory,
) -> None:
    site = new_site(broker="redis", **PLAIN, proxied=["broker"])
    site.call(drive.send, "tests.keep", 1, "a")
    site.proxies["broker"].stall()
    driver = site.driver()

    with pytest.raises(TimeoutError):
        driver.call(drive.send, "tests.keep", 2, "b", timeout=3)
    assert site.broker.depth() == 1
    site.proxies["broker"].restore()

    site.call(drive.send, "tests.keep", 3, "c")
    assert site.broker.depth() == 2


@pytest.mark.parametrize("kind", brokers.KINDS)
def test_a_wiped_broker_has_lost_its_messages(new_site: conftest.SiteFactory, kind: str) -> None:
    site = new_site(broker=kind, **PLAIN)
    site.call(drive.send, "tests.keep", 1)
    wait_until(lambda: site.broker.depth() == 1, 30, "the message waits")

    site.broker.wipe()

    assert site.broker.depth() == 0


@pytest.mark.parametrize("kind", brokers.RABBIT_QUEUE_TYPES)
def test_a_wiped_queue_is_not_made_again_by_a_connection_that_has_sent(
    new_site: conftest.SiteFactory, kind: str
) -> None:
    site = new_site(broker=kind, **PLAIN)
    site.call(drive.send, "tests.keep", 1)

    site.broker.wipe()
    site.call(drive.send, "tests.keep", 2)

    with site.broker.connect() as connection:
        assert brokers.waiting(connection, site.broker.queue) is None


def test_a_run_that_ends_leaves_the_delayed_queues_to_the_others(
    new_site: conftest.SiteFactory,
) -> None:
    site = new_site(broker="rabbitmq-quorum", **PLAIN)
    site.worker(pool="solo")

    DelayedQueues().release()  # the session of this test holds them, too

    with site.broker.connect() as connection:
        assert brokers.waiting(connection, "celery_delayed_0") is not None


def test_an_error_in_the_web_process_reaches_the_test(new_site: conftest.SiteFactory) -> None:
    site = new_site(broker="sqla", **PLAIN)
    with pytest.raises(AssertionError, match="on purpose") as caught:
        site.call(fail)
    assert caught.value.kind == "LookupError"  # type: ignore[attr-defined]
    assert site.call(drive.ping) != os.getpid()


def test_in_process_tests_have_a_real_database(database: databases.Database) -> None:
    add_user("kite")
    vendor = {"sqlite": "sqlite", "postgres": "postgresql", "mariadb": "mysql"}[database.kind]
    assert connection.vendor == vendor
    assert count_users() == 1  # not 2: the table is emptied after each test


def test_in_process_databases_are_emptied(database: databases.Database) -> None:
    assert count_users() == 0
    add_user("kite")


def test_a_failed_wait_tells_what_it_waited_for() -> None:
    with pytest.raises(WaitFailed, match=r"two ends.*last answer: 0.*\n.*the log"):
        wait_until(lambda: 0, 0.1, "two ends meet", context=lambda: "the log")


CRASH = """
import os, signal, sys, pathlib
from tests.harness.site import Site
site = Site(broker="sqla", database="sqlite", results_in="none", simulator=False)
worker = site.worker(pool="prefork")
driver = site.driver()
print(*worker.pids(), *driver.pids(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_no_process_outlives_a_killed_test_run(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": ".", "TMPDIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-c", CRASH], cwd=ROOT, env=env, capture_output=True, text=True
    )
    pids = [int(word) for word in run.stdout.split()]

    assert run.returncode == -signal.SIGKILL, run.stderr
    assert len(pids) > 2
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), 30, "they are gone")


def test_an_absent_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = services.Service("Redis", "REDIS_URL", "redis://127.0.0.1:1", 6379)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setattr(services, "CI", False)
    with pytest.raises(pytest.skip.Exception, match=r"needs Redis at 127\.0\.0\.1:1 "):
        absent.require()
    monkeypatch.setattr(services, "CI", True)
    with pytest.raises(pytest.fail.Exception, match=r"needs Redis at 127\.0\.0\.1:1 "):
        absent.require()


def test_names_of_killed_runs_are_recognised_by_their_age() -> None:
    assert not names.is_stale(names.unique())
    assert names.is_stale("sct_5f000000_ab12cd34")
    assert not names.is_stale("seedance")
    assert not names.is_stale("sct_seedance_x")


def test_a_proxied_url_keeps_user_and_password() -> None:
    url = services.Service("X", "NO_SUCH_VARIABLE", "amqp://u:p@h:5672//", 5672)
    parts = urlsplit(url.url_through(("127.0.0.1", 99)))
    assert (parts.netloc, parts.path) == ("u:p@127.0.0.1:99", "//")
