"""The `seedance` fixture, as a project's own tests use it."""

from __future__ import annotations

import subprocess
import sys

from django.test import TestCase

from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance
from tests.core import canvas


def test_the_fixture_runs_a_video_to_its_end(seedance: Seedance) -> None:
    seedance.next_video("failed")
    generate_video("A kite")
    seedance.run_until_done()
    assert Video.objects.get().status == "failed"
    assert seedance.signals("video_failed") == ["video_failed"]
    assert seedance.charges == 1


def test_the_plugin_loads_before_django_is_set_up() -> None:
    code = "import seedance_celery.pytest_plugin, sys; assert 'django' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


class RenderTests(TestCase):
    """Without pytest, and in a test case whose transaction is never committed."""

    def test_a_link_runs_in_a_test_case(self) -> None:
        canvas.ran.clear()
        with Seedance() as seedance:
            generate_video("A kite", link=canvas.publish.s())
            seedance.run_until_done()
        assert canvas.names() == ["publish"]
