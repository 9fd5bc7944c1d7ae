"""Django's and unittest's own test cases, with and without transactions."""

from __future__ import annotations

from typing import Any
from urllib.request import urlopen

from celery import chain
from django.conf import settings
from django.db import transaction
from django.test import TestCase, TransactionTestCase

from seedance_celery.client import Client
from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video, track_video
from seedance_celery.tasks import create_video, poll_video
from seedance_celery.testing import Seedance, SeedanceTestMixin
from tests.kit import work


class Cases(SeedanceTestMixin):
    """What holds in both."""

    __test__ = False

    def test_a_view_that_commits_buys_one_video(self) -> None:
        with transaction.atomic():
            generate_video("A kite", link=work.note.s())
            assert not self.seedance.requests
        self.seedance.run_until_done()
        self.seedance.assert_charged(1)
        assert work.names() == ["note"]

    def test_a_chain_runs_to_its_errback(self) -> None:
        self.seedance.next_video("failed")
        poll = poll_video.s().on_error(work.cleanup.s())
        chain(create_video.s("A kite"), poll, work.note.s()).apply_async()
        self.seedance.run_until_done()
        assert work.names() == ["cleanup"]

    def test_a_revoked_task_leaves_the_connection_open(self) -> None:
        result = poll_video.delay(self.seedance.buy("slow"))
        self.seedance.run_due()
        result.revoke()
        self.seedance.run_until_done()
        assert Video.objects.get().status == "completed"


class InATransaction(Cases, TestCase):
    __test__ = True


class WithRealCommits(Cases, TransactionTestCase):
    __test__ = True


class WithOptions(SeedanceTestMixin, TestCase):
    seedance_options = {"http": True, "TIMEOUT": 77}

    def test_options_are_settings_and_a_port(self) -> None:
        assert settings.SEEDANCE["TIMEOUT"] == 77
        assert settings.SEEDANCE["BASE_URL"] == self.seedance.url
        with Client("sk-mine", self.seedance.url) as client:
            task = client.create("A kite")
            self.seedance.clock.advance(60)
            task = client.retrieve(task.id)
        with urlopen(task.video_url) as reply:
            assert reply.read(8)[4:] == b"ftyp"


class TheMixin(TestCase):
    def test_a_kit_ends_with_its_test(self) -> None:
        before = (settings.SEEDANCE, settings.CELERY_BROKER_URL)
        case = WithOptions("test_options_are_settings_and_a_port")
        case.setUp()
        assert before[0] != settings.SEEDANCE
        case.doCleanups()
        assert before == (settings.SEEDANCE, settings.CELERY_BROKER_URL)


class Accounts(TestCase):
    def test_accounts_keep_their_names_and_lose_their_keys(self) -> None:
        own = {"eu": {"API_KEY": "sk-secret", "BASE_URL": "https://eu.example"}}
        with self.settings(SEEDANCE={"ACCOUNTS": own}), Seedance() as seedance:
            video = generate_video("A kite", account="eu")
            seedance.run_until_done()
            assert video.current().status == "completed"
            assert {seen.key for seen in seedance.requests} == {"sk-simulator-eu"}

    def test_what_is_bought_elsewhere_belongs_to_the_accounts_key(self) -> None:
        own = {"eu": {"API_KEY": "sk-secret"}}
        with self.settings(SEEDANCE={"ACCOUNTS": own}), Seedance() as seedance:
            video = track_video(seedance.buy(account="eu"), account="eu")
            seedance.run_until_done()
            assert video.current().status == "completed"

    def test_settings_of_the_project_hold(self) -> None:
        own: dict[str, Any] = {"API_KEY": "sk-secret", "QUEUE": "videos"}
        with self.settings(SEEDANCE=own), Seedance() as seedance:
            generate_video("A kite")
            seedance.run_due()
            assert {message.queue for message in seedance.broker.fetch()} == {"videos"}
