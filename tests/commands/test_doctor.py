"""`seedance_doctor`: each part green where it is well, red with what to do where it is not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.test import override_settings

from seedance_celery.accounts import health
from seedance_celery.lifecycle.sweep import sweep
from seedance_celery.management import doctor
from seedance_celery.management.doctor.findings import Finding, Probe, State, good, run
from seedance_celery.models import AccountState, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.simulator import SimulatorApp
from seedance_celery.simulator.server import SimulatorServer
from seedance_celery.testing import Seedance
from tests.conftest import SiteFactory
from tests.harness.services import REDIS
from tests.harness.site import KEY, Site

from .processes import manage

PARTS = [
    *("settings", "key", "database", "migrations", "clock", "storage", "broker"),
    *("worker", "sweep", "accounts", "videos", "api"),
]
SECRET = "sk-very-secret-0123456789"
LOCAL = "http://127.0.0.1:9"

Parts = dict[str, list[dict[str, Any]]]


# In this process.


def look(part: str, **settings: Any) -> list[Finding]:
    """Run one probe."""
    [probe] = [probe for probe in (*doctor.PROBES, doctor.LIVE) if probe.part == part]
    with override_settings(SEEDANCE={"API_KEY": SECRET, "BASE_URL": LOCAL, **settings}):
        found = run(probe)
    assert SECRET not in str(found)
    return found


def states(found: list[Finding]) -> list[str]:
    return [finding.state.value for finding in found]


def raise_for_a_key() -> str:
    raise RuntimeError(SECRET)


@pytest.fixture
def kit(transactional_db: None) -> Iterator[Seedance]:
    with Seedance() as seedance:
        yield seedance


def test_wrong_settings_are_red_and_what_needs_them_is_skipped() -> None:
    [finding] = look("settings", TIMEOUTS=5)
    assert (finding.state, finding.hint) == (State.FAILED, "Did you mean 'TIMEOUT'?")
    assert finding.message.startswith("seedance.E001: ")
    assert states(look("api", TIMEOUTS=5)) == ["skipped"]
    assert states(look("settings")) == ["ok"]


def test_a_missing_key_is_red() -> None:
    assert states(look("key", API_KEY="")) == ["failed"]


def test_a_key_that_cannot_be_asked_for_is_red() -> None:
    [finding] = look("key", API_KEY=raise_for_a_key)
    assert finding.message == "default: asking for the key raised RuntimeError"


@pytest.mark.parametrize(
    ("key", "shown"), [(SECRET, "25 characters, ending in 89,"), ("sk-short", "8 characters,")]
)
def test_at_most_the_length_and_two_characters_of_a_key_are_shown(key: str, shown: str) -> None:
    [finding] = look("key", API_KEY=key)
    assert finding.message == f"default: {shown} for {LOCAL}"


def test_a_storage_that_works_is_left_as_it_was(tmp_path: Path) -> None:
    with override_settings(MEDIA_ROOT=tmp_path):
        assert states(look("storage")) == ["ok"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_storage_that_cannot_be_written_is_red(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with override_settings(MEDIA_ROOT=tmp_path / "file"):
        assert states(look("storage")) == ["failed"]


def test_what_no_sweep_has_sent_is_red(kit: Seedance) -> None:
    generate_video("A kite")
    assert states(look("sweep")) == ["ok"]
    kit.clock.advance(600)
    [finding] = look("sweep")
    assert finding.state is State.FAILED
    assert "1 poll loops and 1 kept tasks are overdue" in finding.message


def test_the_last_sweep_is_told_and_one_that_is_long_ago_as_a_warning(kit: Seedance) -> None:
    sweep()
    kit.clock.advance(20)
    [finding] = look("sweep")
    assert (finding.state, finding.message) == (
        State.OK,
        "nothing is overdue; the last sweep was 20 s ago",
    )
    kit.clock.advance(3580)
    [finding] = look("sweep")
    assert (finding.state, finding.message) == (
        State.WARNING,
        "nothing is overdue, but the last sweep was 60 minutes ago",
    )
    sweep()
    assert states(look("sweep")) == ["ok"]


def test_a_sweep_that_is_turned_off_is_told(kit: Seedance) -> None:
    assert states(look("sweep", SWEEP_INTERVAL=0)) == ["warning"]


def test_a_refused_account_is_red_and_a_held_one_is_told(kit: Seedance) -> None:
    assert states(look("accounts")) == ["ok"]
    now, later = kit.clock.time, kit.clock.time + timedelta(minutes=10)
    state = AccountState.objects.create(name="default", strikes=1, refused_at=now)
    assert states(look("accounts")) == ["failed"]
    AccountState.objects.update(refused_at=None, hold_until=later, creates_hold_until=later)
    assert states(look("accounts")) == ["warning", "warning"]
    kit.clock.advance(601)
    assert states(look("accounts")) == ["ok"]
    assert str(state) == "default"


def test_a_create_that_waits_for_a_person_is_told_with_its_pk(kit: Seedance) -> None:
    assert states(look("videos")) == ["ok"]
    video = Video.objects.create(status="create_unknown")
    [finding] = look("videos")
    assert finding.state is State.WARNING
    assert str(video.pk) in finding.message


def test_an_api_that_is_there_is_green_and_sees_no_key() -> None:
    with SimulatorServer() as server:
        assert states(look("api", BASE_URL=server.url)) == ["ok"]
        assert [seen.key for seen in server.app.requests] in ([""], [None])


def test_an_address_that_is_not_the_api_is_red() -> None:
    with SimulatorServer() as server:
        server.app.fault("redirect")
        assert states(look("api", BASE_URL=server.url)) == ["failed"]


def test_an_api_that_cannot_be_reached_is_red() -> None:
    assert states(look("api")) == ["failed"]


def test_an_api_whose_clock_differs_is_told() -> None:
    with SimulatorServer(SimulatorApp(clock=lambda: time.time() - 3600)) as server:
        [finding] = look("api", BASE_URL=server.url)
    assert finding.state is State.WARNING
    assert "+36" in finding.message


def test_live_proves_a_key_and_buys_nothing(transactional_db: None) -> None:
    with SimulatorServer() as server:
        assert states(look("live", BASE_URL=server.url)) == ["ok"]
        assert server.app.charges == 0
        server.app.fault("key_refused")
        [finding] = look("live", BASE_URL=server.url)
    health.forget_clients()
    assert finding.state is State.FAILED
    assert "KeyRefused" in finding.message


# In processes of their own.


@pytest.fixture(scope="module")
def site(new_shared_site: SiteFactory) -> Iterator[Site]:
    """A site that is well, on a broker that workers answer over."""
    made = new_shared_site(broker="redis", database="sqlite", results_in="none")
    made.worker(pool="threads")
    yield made
    made.close()


@pytest.fixture(scope="module")
def bare(new_shared_site: SiteFactory) -> Site:
    """A site without a worker."""
    return new_shared_site(broker="sqla", database="sqlite", results_in="none")


def diagnose(site: Site, *arguments: str, **env: str) -> tuple[int, Parts]:
    """Return the exit status, and what was found of each part."""
    done = manage({**site.env, **env}, "seedance_doctor", "--json", *arguments)
    assert SECRET not in done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is (done.returncode == 0)
    parts: Parts = {}
    for finding in told["findings"]:
        parts.setdefault(finding["part"], []).append(finding)
    return done.returncode, parts


def red(parts: Parts) -> list[str]:
    return [part for part, found in parts.items() if any(f["state"] == "failed" for f in found)]


def test_everything_is_green_where_a_worker_runs(site: Site) -> None:
    done = manage(site.env, "seedance_doctor", "--live")
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["ok"] * len(lines)
    assert list(dict.fromkeys(line.split()[1] for line in lines)) == [*PARTS, "live"]
    assert (done.returncode, done.stderr) == (0, "")
    assert KEY not in done.stdout
    with redis.Redis.from_url(REDIS.url) as client:
        left = list(client.scan_iter(match=f"{site.broker.name}:*seedance_doctor*"))
    assert left == []


def test_a_queue_that_no_worker_reads_is_red(site: Site) -> None:
    settings = {**json.loads(site.env["TEST_SEEDANCE"]), "QUEUE": "forgotten"}
    _, parts = diagnose(site, TEST_SEEDANCE=json.dumps(settings))
    assert red(parts) == ["worker"]
    assert parts["worker"][-1]["hint"] == "Start a worker with -Q forgotten."


def test_workers_that_nobody_has_started_are_red(new_site: SiteFactory) -> None:
    _, parts = diagnose(new_site(broker="redis", database="sqlite", results_in="none"))
    assert red(parts) == ["worker"]
    assert parts["worker"][0]["hint"].startswith("Start one: celery -A tests")


def test_a_broker_over_which_workers_cannot_be_asked_is_not_red(bare: Site) -> None:
    status, parts = diagnose(bare)
    assert (status, red(parts), parts["worker"][0]["state"]) == (0, [], "skipped")


def test_messages_of_the_real_queue_are_not_consumed(new_site: SiteFactory) -> None:
    # A site of its own: its video stays unswept, which would be red for the others.
    site = new_site(broker="sqla", database="sqlite", results_in="none")
    manage(site.env, "seedance_generate", "A kite")
    before = site.broker.depth()
    diagnose(site)
    assert site.broker.depth() == before > 0


def test_a_database_without_the_tables_is_red(bare: Site) -> None:
    _, parts = diagnose(bare, TEST_DATABASE_URL=f"sqlite:///{bare.folder / 'empty.sqlite3'}")
    assert parts["migrations"][0]["message"].startswith("not applied: 0001_")
    assert parts["migrations"][0]["hint"] == "Run manage.py migrate."
    assert red(parts) == ["migrations"]
    for part in ("clock", "sweep", "accounts", "videos"):
        assert parts[part][0]["state"] == "skipped"
        assert parts[part][0]["message"] == "see the line of the migrations"


def test_database_and_broker_that_are_away_are_red_and_their_passwords_stay_unsaid(
    bare: Site,
) -> None:
    status, parts = diagnose(
        bare,
        TEST_DATABASE_URL=f"postgresql://nobody:{SECRET}@127.0.0.1:1/none",
        TEST_BROKER_URL=f"redis://:{SECRET}@127.0.0.1:1/0",
    )
    assert status == 1
    assert {"database", "broker"} <= set(red(parts)) <= {"database", "broker", "worker"}
    assert parts["migrations"][0]["message"] == "see the line of the database"
    assert "127.0.0.1:1" in parts["broker"][0]["message"]
    assert parts["api"][0]["state"] == "ok"


# The limits of a probe.


def test_a_probe_that_hangs_is_red_and_holds_up_nothing() -> None:
    ended = threading.Event()

    def hang() -> Iterator[Any]:
        yield good("begun")
        ended.wait(20)

    started = time.monotonic()
    found = run(Probe("storage", hang, 0.2))
    ended.set()
    assert time.monotonic() - started < timedelta(seconds=5).total_seconds()
    assert found == [
        Finding("storage", State.OK, "begun"),
        Finding(
            "storage",
            State.FAILED,
            "no answer within 0.2 s",
            "Look at the network between here and there.",
        ),
    ]


def test_what_a_probe_raises_is_told_without_its_text() -> None:
    def fail() -> Iterator[Any]:
        raise RuntimeError(SECRET)

    [finding] = run(Probe("storage", fail, 5))
    assert (finding.state, finding.message) == (State.FAILED, "RuntimeError was raised")
