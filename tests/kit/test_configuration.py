"""Whatever says where the project's broker is, a test sends nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from celery import Celery, current_app

from seedance_celery.testing import Seedance

pytestmark = pytest.mark.django_db

BROKER = "redis://127.0.0.1:9/0"
RESULTS = "redis://127.0.0.1:9/1"


@pytest.fixture
def app() -> Iterator[Celery]:
    """An app that its settings' names, with their namespace, lead to servers that are away."""
    before = current_app._get_current_object()  # type: ignore[attr-defined]
    made = Celery("configured")
    settings = SimpleNamespace(
        CELERY_BROKER_URL=BROKER,
        CELERY_BROKER_READ_URL=BROKER,
        CELERY_RESULT_BACKEND=RESULTS,
        CELERY_TASK_ALWAYS_EAGER=True,
    )
    made.config_from_object(settings, namespace="CELERY")
    yield made
    before.set_current()


def sent(app: Celery) -> list[str]:
    """Return what the kit sees of a task that is sent."""
    with Seedance(app) as seedance:
        app.send_task("shop.tasks.ship", retry=False)
        assert app.backend.as_uri().startswith("memory")
        assert app.conf.task_always_eager is False
        return [message.task for message in seedance.broker.fetch()]


def test_settings_with_a_namespace_are_replaced(app: Celery) -> None:
    assert sent(app) == ["shop.tasks.ship"]


def test_they_hold_again_afterwards(app: Celery) -> None:
    app.conf.broker_transport_options = {"visibility_timeout": 60}
    app.conf.get("broker_url")
    before = dict(app.conf.changes)  # type: ignore[attr-defined]
    with Seedance(app), Seedance(app):
        pass
    assert app.conf.changes == before  # type: ignore[attr-defined]
    assert app.conf.broker_url == app.conf.broker_read_url == BROKER
    assert app.conf.result_backend == RESULTS
    assert app.conf.task_always_eager is True


def test_variables_of_the_environment_are_too(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", BROKER)
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", BROKER)
    monkeypatch.setenv("CELERY_RESULT_BACKEND", RESULTS)
    assert sent(app) == ["shop.tasks.ship"]
    assert app.conf.broker_write_url == BROKER
    assert app.conf.result_backend == RESULTS
