"""The `seedance` fixture, as a project's own tests use it."""

from __future__ import annotations

import subprocess
import sys
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from django.conf import settings
from django.db import connection

from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance
from tests.kit import work


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


def test_nothing_listens_by_default(seedance: Seedance) -> None:
    with pytest.raises(URLError):
        urlopen(seedance.url)


@pytest.mark.seedance(http=True, TIMEOUT=60)
class TestMarked:
    def test_the_marker_gives_options(self, seedance: Seedance) -> None:
        assert settings.SEEDANCE["TIMEOUT"] == 60
        with urlopen(f"{seedance.url}/_simulator/") as reply:
            assert reply.status == 200

    @pytest.mark.seedance(TIMEOUT=70)
    def test_the_nearer_marker_wins(self, seedance: Seedance) -> None:
        assert settings.SEEDANCE["TIMEOUT"] == 70
        assert seedance.server is not None


def test_with_real_commits(transactional_db: None, seedance: Seedance) -> None:
    assert not connection.in_atomic_block
    generate_video("A kite", link=work.note.s())
    seedance.run_until_done()
    assert work.names() == ["note"]


@pytest.mark.django_db(transaction=True)
def test_with_real_commits_by_the_marker(seedance: Seedance) -> None:
    assert not connection.in_atomic_block
    generate_video("A kite", link=work.note.s())
    seedance.run_until_done()
    assert work.names() == ["note"]
