"""Checks of what limits make of the batch poller."""

from __future__ import annotations

import pytest
from celery import current_app

from seedance_celery import sending
from seedance_celery.checks.celery_tasks import check_tasks
from tests.batch.test_poller import settings


@pytest.mark.parametrize(("poller", "ids"), [("batch", ["seedance.E013"]), ("loop", [])])
def test_a_limit_that_cuts_a_run_short_is_an_error_where_there_are_runs(
    monkeypatch: pytest.MonkeyPatch, poller: str, ids: list[str]
) -> None:
    monkeypatch.setattr(current_app.tasks[sending.BATCH], "time_limit", 45)
    with settings(POLLER=poller):
        assert [message.id for message in check_tasks()] == ids
