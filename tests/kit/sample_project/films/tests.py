"""For `manage.py test`, and for pytest as well."""

import tempfile

from django.core.files.storage import default_storage
from django.test import TestCase, TransactionTestCase, override_settings

from seedance_celery.testing import SeedanceTestMixin

from .models import Film
from .orders import order_film


class MediaMixin:
    """Keeps each test's files apart."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        changed = override_settings(MEDIA_ROOT=folder.name)
        changed.enable()
        self.addCleanup(changed.disable)
        super().setUp()


class OrderTests(MediaMixin, SeedanceTestMixin, TestCase):
    def test_a_film_is_bought_stored_and_published(self):
        film = order_film("A kite")
        self.seedance.run_until_done()
        film.refresh_from_db()
        self.assertTrue(film.is_ready)
        with default_storage.open(film.file) as file:
            self.assertEqual(file.read(8)[4:], b"ftyp")
        self.seedance.assert_charged(1)
        self.seedance.assert_requested(create=1, file=1)
        self.seedance.assert_fired("video_completed")

    def test_a_failed_video_is_refunded(self):
        self.seedance.next_video("failed")
        film = order_film("A kite")
        self.seedance.run_until_done()
        film.refresh_from_db()
        self.assertEqual((film.is_ready, film.is_refunded), (False, True))

    def test_a_refused_create_is_refunded(self):
        self.seedance.next_video("create_400")
        film = order_film("A kite")
        self.seedance.run_until_done()
        film.refresh_from_db()
        self.assertTrue(film.is_refunded)
        self.seedance.assert_charged(0)

    def test_the_mail_is_tried_until_it_goes_out(self):
        film = order_film("A kite")
        began = self.seedance.clock.time
        self.seedance.run_until_done()
        film.refresh_from_db()
        self.assertEqual(film.mails, 1)
        self.assertGreater((self.seedance.clock.time - began).total_seconds(), 600)

    def test_a_view_sends_on_commit(self):
        pk = int(self.client.get("/order/", {"title": "A kite"}).content)
        self.seedance.run_until_done()
        film = Film.objects.get(pk=pk)
        self.assertEqual(film.video.status, "completed")
        self.assertTrue(film.video.file)

    def test_another_account_pays(self):
        order_film("A trailer", account="trailers")
        self.seedance.run_until_done()
        self.assertEqual(
            {seen.key for seen in self.seedance.requests if seen.key}, {"sk-simulator-trailers"}
        )


class CommitTests(MediaMixin, SeedanceTestMixin, TransactionTestCase):
    def test_a_film_is_bought_stored_and_published(self):
        film = order_film("A kite")
        self.seedance.run_until_done()
        film.refresh_from_db()
        self.assertTrue(film.is_ready)
