"""The system checks: each can fire, each can be silent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, current_app
from django.core import checks, mail
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings
from kombu import Queue

from seedance_celery import sending, worker
from tests.harness.processes import ROOT

KEY = "sk-not-a-key"
BASE = {"API_KEY": KEY}

a_key = KEY
not_a_key = 5


def asked_key() -> str:
    raise AssertionError("a check must not ask for a key")


def look(seedance: dict[str, Any] | None = None, **settings: Any) -> dict[str, checks.CheckMessage]:
    with override_settings(SEEDANCE=BASE if seedance is None else seedance, **settings):
        return {str(message.id): message for message in checks.run_checks(tags=["seedance"])}


@pytest.fixture
def app() -> Iterator[Celery]:
    """A configured app that the checks see."""
    before = current_app._get_current_object()  # type: ignore[attr-defined]
    made = Celery("checked", broker="redis://127.0.0.1/0")
    yield made
    before.set_current()


def configured(app: Celery, **conf: Any) -> dict[str, checks.CheckMessage]:
    app.conf.update(conf)
    return look()


def test_a_right_configuration_is_silent(app: Celery) -> None:
    assert look() == {}


# SEEDANCE.


@pytest.mark.parametrize(
    ("number", "seedance"),
    [
        ("E001", {"TIMEOUTS": 5}),
        ("E002", {"TIMEOUT": "1h"}),
        ("E004", {"POLL_COUNTDOWN": (1, 2)}),
        ("E005", {"REQUEST_TIMEOUT": (30, 60)}),
    ],
)
def test_what_the_reader_refuses_is_an_error_with_a_hint(
    number: str, seedance: dict[str, Any]
) -> None:
    found = look({**BASE, **seedance})
    assert list(found) == [f"seedance.{number}"]
    assert isinstance(found[f"seedance.{number}"], checks.Error)
    assert found[f"seedance.{number}"].hint


@pytest.fixture
def no_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """As outside Django's test environment."""
    monkeypatch.delattr(mail, "outbox")


@pytest.mark.parametrize("command", ["check", "runserver", "worker"])
@pytest.mark.usefixtures("no_tests")
def test_a_missing_key_is_an_error(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["manage.py", command])
    monkeypatch.delenv("COMETAPI_KEY", raising=False)
    found = look({})
    assert "COMETAPI_KEY" in str(found["seedance.E003"].hint)
    assert isinstance(found["seedance.E003"], checks.Error)
    monkeypatch.setenv("COMETAPI_KEY", KEY)
    assert look({}) == {}


@pytest.mark.usefixtures("no_tests")
def test_tables_are_made_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["manage.py", "migrate", "--verbosity", "0"])
    monkeypatch.delenv("COMETAPI_KEY", raising=False)
    found = look({})
    assert isinstance(found["seedance.W010"], checks.Warning)
    assert list(found) == ["seedance.W010"]


def test_tests_run_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMETAPI_KEY", raising=False)
    assert list(look({})) == ["seedance.W010"]


@pytest.mark.parametrize("key", ["", None])
@pytest.mark.usefixtures("no_tests")
def test_an_account_without_a_key_is_an_error(key: str | None) -> None:
    found = look({**BASE, "ACCOUNTS": {"eu": {"API_KEY": key}}})
    assert "SEEDANCE['ACCOUNTS']['eu']['API_KEY']" in str(found["seedance.E003"].hint)


@pytest.mark.parametrize("path", ["no.such.module", f"{__name__}.nothing", f"{__name__}.not_a_key"])
def test_a_path_that_leads_to_no_key_is_an_error(path: str) -> None:
    found = look({"API_KEY": path})
    assert list(found) == ["seedance.E003"]
    assert path not in str(found["seedance.E003"])


@pytest.mark.parametrize("key", [asked_key, f"{__name__}.asked_key", f"{__name__}.a_key"])
def test_a_check_does_not_call_what_returns_the_key(key: Any) -> None:
    assert look({"API_KEY": key}) == {}


def test_a_storage_that_is_not_configured_is_an_error() -> None:
    found = look({**BASE, "STORAGE": "defualt"})
    assert found["seedance.E006"].hint == "Did you mean 'default'?"
    assert look({**BASE, "STORAGE": "staticfiles"}) == {}


@pytest.mark.parametrize("path", ["no.such.function", f"{__name__}.KEY"])
def test_a_view_permission_that_is_no_function_is_an_error(path: str) -> None:
    assert list(look({**BASE, "VIEW_PERMISSION": path})) == ["seedance.E007"]


@pytest.mark.parametrize("permission", [asked_key, f"{__name__}.asked_key"])
def test_a_view_permission_that_is_a_function_is_right(permission: Any) -> None:
    assert look({**BASE, "VIEW_PERMISSION": permission}) == {}


def test_a_default_model_that_is_in_no_table_is_a_warning() -> None:
    found = look({**BASE, "DEFAULT_MODEL": "doubao-seedance-2.0"})
    assert str(found["seedance.W001"].hint).startswith("Did you mean 'doubao-seedance-2-0'?")
    models = {"doubao-seedance-3": {"seconds": (4, 9)}}
    assert look({**BASE, "DEFAULT_MODEL": "doubao-seedance-3", "MODELS": models}) == {}


# The database.


def test_naive_times_are_an_error() -> None:
    assert list(look(USE_TZ=False)) == ["seedance.E008"]


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The options of a default database that is a file; nothing opens it."""
    before = connections.settings["default"]
    usual = connections["default"]
    options: dict[str, Any] = {}
    file = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}
    connections.settings["default"] = {**before, **file, "OPTIONS": options}
    del connections["default"]
    yield options
    connections.settings["default"] = before
    connections["default"] = usual


def test_sqlite_that_locks_late_is_a_warning(sqlite_file: dict[str, Any]) -> None:
    assert list(look()) == ["seedance.W002"]
    sqlite_file["transaction_mode"] = "IMMEDIATE"
    assert look() == {}


# The Celery app.


def manage(folder: Path, settings: str) -> str:
    """Return what `check` says in a project of its own."""
    (folder / "shop.py").write_text(f'SECRET_KEY = "x"\nUSE_TZ = True\n{settings}')
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "shop", "COMETAPI_KEY": KEY}
    env["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])
    command = [sys.executable, "-m", "django", "check"]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_a_project_without_a_celery_app_is_told_how_to_write_one(tmp_path: Path) -> None:
    installed = 'INSTALLED_APPS = ["django.contrib.contenttypes", "seedance_celery"]\n'
    database = (
        'DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}\n'
    )
    told = manage(tmp_path, installed + database)
    assert "seedance.W003" in told
    assert 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop")' in told
    assert "app.autodiscover_tasks()" in told
    app = 'from celery import Celery\napp = Celery("shop", broker="memory://")\n'
    assert "seedance.W003" not in manage(tmp_path, installed + database + app)


def test_a_configuration_that_celery_cannot_read_is_an_error(app: Celery) -> None:
    app.config_from_object({"CELERY_RESULT_BACKEND": "cache", "task_acks_late": True})
    assert list(look()) == ["seedance.E009"]


def test_eager_mode_outside_tests_is_a_warning(
    app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert configured(app, task_always_eager=True) == {}
    monkeypatch.delattr(mail, "outbox")
    assert list(look()) == ["seedance.W004"]


def test_a_broker_that_loses_messages_is_a_warning(app: Celery) -> None:
    assert list(configured(app, broker_url="filesystem://")) == ["seedance.W005"]
    assert configured(app, broker_url="sqla+sqlite://") == {}


def test_a_visibility_timeout_shorter_than_a_countdown_is_a_warning(app: Celery) -> None:
    found = configured(app, broker_transport_options={"visibility_timeout": 979})
    assert "'visibility_timeout': 980" in str(found["seedance.W006"].hint)
    assert configured(app, broker_transport_options={"visibility_timeout": 980}) == {}
    app.conf.update(broker_url="amqp://")
    assert configured(app, broker_transport_options={"visibility_timeout": 5}) == {}


@pytest.mark.parametrize("name", ["QUEUE", "STORE_QUEUE"])
def test_a_queue_that_nobody_declares_is_an_error(app: Celery, name: str) -> None:
    app.conf.task_queues = [Queue("celery"), Queue("seedance")]
    seedance = {**BASE, name: "videos"}
    assert look(seedance) == {}
    app.conf.task_create_missing_queues = False
    assert list(look(seedance)) == ["seedance.E010"]
    assert look({**BASE, name: "seedance"}) == {}


@pytest.mark.parametrize(
    ("serializer", "accepted"), [("json", ["pickle"]), ("pickle", ["json"]), ("nothing", ["json"])]
)
def test_messages_that_no_worker_reads_are_an_error(
    app: Celery, serializer: str, accepted: list[str]
) -> None:
    found = configured(app, task_serializer=serializer, accept_content=accepted)
    assert list(found) == ["seedance.E011"]


def test_another_serializer_that_workers_read_is_right(app: Celery) -> None:
    assert configured(app, task_serializer="pickle", accept_content=["json", "pickle"]) == {}


# The tasks.


def annotated(app: Celery, name: str, **options: Any) -> list[str]:
    return list(configured(app, task_annotations={name: options}))


@pytest.mark.parametrize("name", [sending.REFRESH, sending.POLL, "*"])
def test_a_soft_limit_above_the_hard_one_is_an_error(app: Celery, name: str) -> None:
    assert annotated(app, name, soft_time_limit=9e5, time_limit=8e5) == ["seedance.E012"]


@pytest.mark.parametrize("option", ["time_limit", "soft_time_limit"])
@pytest.mark.parametrize(
    ("name", "needed"),
    [
        (sending.CREATE, 120),
        (sending.SUBMIT, 120),
        (sending.STORE, 3600),
        (sending.REFRESH, 35),
    ],
)
def test_a_limit_that_cuts_a_task_short_is_an_error(
    app: Celery, name: str, needed: int, option: str
) -> None:
    assert annotated(app, name, **{option: needed}) == ["seedance.E013"]


@pytest.mark.parametrize("name", [sending.CREATE, sending.REFRESH])
def test_a_limit_that_leaves_enough_time_is_right(app: Celery, name: str) -> None:
    assert annotated(app, name, time_limit=200, soft_time_limit=150) == []


@pytest.mark.parametrize("option", ["acks_late", "reject_on_worker_lost"])
@pytest.mark.parametrize("name", [sending.CREATE, sending.POLL, sending.STORE, "*"])
def test_early_acknowledgement_of_a_kept_task_is_an_error(
    app: Celery, name: str, option: str
) -> None:
    assert annotated(app, name, **{option: False}) == ["seedance.E014"]


@pytest.mark.parametrize(
    ("number", "options"),
    [
        ("W007", {"acks_late": True}),
        ("W008", {"rate_limit": "10/m"}),
        ("W009", {"max_retries": 3}),
    ],
)
def test_options_that_hinder_the_poll_loop_are_a_warning(
    app: Celery, number: str, options: dict[str, Any]
) -> None:
    assert annotated(app, sending.REFRESH, **options) == [f"seedance.{number}"]


def test_global_task_settings_that_do_not_reach_the_tasks_are_silent(app: Celery) -> None:
    found = configured(
        app,
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        task_time_limit=5,
        task_soft_time_limit=3,
        task_ignore_result=True,
    )
    assert found == {}


def test_a_global_rate_limit_reaches_the_poll_loop(app: Celery) -> None:
    assert list(configured(app, task_default_rate_limit="1/s")) == ["seedance.W008"]


def test_annotations_of_other_tasks_are_silent(app: Celery) -> None:
    assert annotated(app, "shop.tasks.publish", rate_limit="1/s", time_limit=1) == []


def test_no_check_opens_a_connection(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError(f"a check connects: {args}")

    for broker in ("redis://127.0.0.1/0", "amqp://", "sqs://"):
        app.conf.update(broker_url=broker)
        monkeypatch.setattr("socket.socket.connect", refuse)
        assert look() == {}


# A worker, which has no `manage.py`.


def test_a_worker_that_has_started_logs_what_the_checks_find(
    app: Celery, caplog: pytest.LogCaptureFixture
) -> None:
    with override_settings(SEEDANCE={**BASE, "TIMEOUTS": 5}):
        worker.log_checks()
    [record] = caplog.records
    assert (record.name, record.levelname) == ("seedance_celery.worker", "ERROR")
    assert record.getMessage().startswith("seedance.E001: ")
    assert "'TIMEOUT'" in record.getMessage()


@pytest.mark.parametrize(
    ("seedance", "silenced"), [(BASE, []), ({**BASE, "TIMEOUTS": 5}, ["seedance.E001"])]
)
def test_a_worker_logs_nothing_of_what_is_right_or_silenced(
    app: Celery, caplog: pytest.LogCaptureFixture, seedance: dict[str, Any], silenced: list[str]
) -> None:
    with override_settings(SEEDANCE=seedance, SILENCED_SYSTEM_CHECKS=silenced):
        worker.log_checks()
    assert not caplog.records


def test_a_worker_whose_database_was_not_migrated_says_what_to_do(
    db: None, caplog: pytest.LogCaptureFixture
) -> None:
    worker.log_missing_migrations()
    assert not caplog.records
    MigrationRecorder.Migration.objects.filter(app="seedance_celery").delete()
    worker.log_missing_migrations()
    [record] = caplog.records
    assert record.levelname == "ERROR"
    message = record.getMessage()
    assert message.startswith("Migrations are not applied: seedance_celery 0001_initial")
    assert message.endswith(". Run manage.py migrate.")
