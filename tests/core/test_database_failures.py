"""A database that fails at every single statement of a worker, one run a statement.

Nobody dies, so nothing may come twice, and no errback may tell of what is only late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from celery import chain
from django.db import OperationalError, connection

from seedance_celery.models import KeptTask, Poller, Video
from seedance_celery.tasks import create_video, poll_video, store_video
from seedance_celery.testing import Seedance
from tests.core import canvas
from tests.core.canvas import publish, refund
from tests.core.test_crashes import FAST, order_chain, order_row


class ShakyKit(Seedance):
    """A kit whose workers' statements of these numbers fail."""

    def __init__(self, failures: range, **settings: Any) -> None:
        super().__init__(**settings)
        self.failures = failures
        self.statements = 0

    def run(self, message: Any) -> Any:
        with connection.execute_wrapper(self._execute):
            return super().run(message)

    def _execute(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if not sql.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            return execute(sql, *rest)
        self.statements += 1
        if self.statements - 1 in self.failures:
            raise OperationalError("the connection was lost")
        return execute(sql, *rest)


def order_stored() -> None:
    waits = poll_video.s().on_error(refund.s())
    chain(create_video.s("A kite"), waits, store_video.s(), publish.s()).apply_async()


def live_once(start: Callable[[], None], scenario: str, failures: range) -> int:
    """Let one video live while these statements fail; return how many statements there were."""
    canvas.ran.clear()
    KeptTask.objects.all().delete()
    Video.objects.all()._raw_delete("default")
    Poller.objects.all().delete()
    with ShakyKit(failures, **FAST) as kit:
        kit.next_video(scenario)
        start()
        kit.run_until_done()
        end, followed = ("completed", "publish") if scenario == "normal" else ("failed", "refund")
        assert (Video.objects.get().status, kit.charges) == (end, 1)
        assert canvas.names() == [followed]
        fired = Counter(kit.signals())
        assert (fired[f"video_{end}"], fired["video_finished"]) == (1, 1)
    assert not KeptTask.objects.filter(finished_at=None).exists()
    return kit.statements


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize(
    "start", [order_chain, order_row, pytest.param(order_stored, marks=pytest.mark.full)]
)
@pytest.mark.parametrize("scenario", ["normal", "failed"])
def test_a_database_that_fails_at_any_statement_only_delays(
    transactional_db: None, start: Callable[[], None], scenario: str, times: int
) -> None:
    statements = live_once(start, scenario, range(0))
    assert statements > 20
    for first in range(statements):
        try:
            live_once(start, scenario, range(first, first + times))
        except AssertionError as error:
            raise AssertionError(f"failed at statement {first}: {error}") from error
