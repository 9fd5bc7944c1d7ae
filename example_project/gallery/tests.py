"""How a project tests what it does with videos: `python manage.py test`.

`Seedance` simulates the API and lets time pass at once, so no test waits for a render.
"""

# ruff: noqa: PT009  (Django's own test runner knows assertEqual, not pytest's assert)

from __future__ import annotations

import re
import tempfile
import uuid
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core import mail
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection
from django.test import Client, TestCase, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance

from .models import Film, Refund

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100


def _form(**values: Any) -> dict[str, Any]:
    usual = {"prompt": "A kite", "model": "doubao-seedance-2-0", "seconds": 5, "size": "16:9"}
    return {**usual, "token": uuid.uuid4(), **values}


class GalleryTests(TestCase):
    """Each test has an API of its own, and a folder for files."""

    def setUp(self) -> None:
        """Start a simulated API."""
        contexts = ExitStack()
        self.addCleanup(contexts.close)
        folder = contexts.enter_context(tempfile.TemporaryDirectory())
        contexts.enter_context(override_settings(MEDIA_ROOT=folder))
        self.seedance = contexts.enter_context(Seedance(POLL_COUNTDOWN=(10, 20), TIMEOUT=300))

    def ask(self, client: Client | None = None, **values: Any) -> Film:
        """Send the form, let the worker finish, and return the film."""
        response = (client or self.client).post("/", _form(**values))
        self.assertRedirects(response, "/")
        self.seedance.run_until_done()
        return Film.objects.latest("created_at")

    def test_a_film_is_bought_kept_and_published(self) -> None:
        film = self.ask()
        self.assertEqual(film.stage, Film.Stage.PUBLISHED)
        self.assertEqual(self.seedance.charges, 1)
        assert film.video is not None
        response = self.client.get(film.video.file.url)
        self.assertEqual(b"".join(response)[4:8], b"ftyp")

    def test_the_receivers_write_what_happened(self) -> None:
        self.seedance.next_video("slow")
        told = list(self.ask().events.values_list("text", flat=True))
        self.assertEqual(
            told, ["Accepted by the API", "The render has begun", "Rendered", "File kept"]
        )

    def test_a_failed_film_is_refunded_and_can_be_tried_again_once(self) -> None:
        self.seedance.next_video("moderation")
        film = self.ask()
        self.assertEqual(film.stage, Film.Stage.FAILED)
        self.assertEqual(Refund.objects.get().film, film)
        for _ in range(2):
            self.client.post(f"/films/{film.pk}/again/")
        self.seedance.run_until_done()
        self.assertEqual(self.seedance.charges, 2)
        self.assertEqual(Film.objects.filter(stage=Film.Stage.PUBLISHED).count(), 1)

    def test_a_create_that_was_refused_is_refunded(self) -> None:
        self.seedance.next_video("create_402")
        film = self.ask()
        self.assertEqual(film.stage, Film.Stage.FAILED)
        self.assertEqual(Refund.objects.get().film, film)
        self.assertNotContains(self.client.get(film.get_absolute_url()), "not known yet")

    def test_a_film_that_may_still_come_is_told_and_not_refunded(self) -> None:
        for scenario, words in (
            ("stuck", "Takes too long: nobody waits any more, but it may still come"),
            ("completed_without_url", "Made, but without a link so far: it may still come"),
            ("create_dropped", "The API's answer was lost: somebody has to look"),
        ):
            with self.subTest(scenario):
                self.seedance.next_video(scenario)
                film = self.ask()
                self.assertEqual(film.stage, Film.Stage.UNCERTAIN)
                self.assertContains(self.client.get(film.get_absolute_url()), escape(words))
        self.assertFalse(Refund.objects.exists())

    def test_a_film_that_the_api_does_not_know_is_told_and_not_refunded(self) -> None:
        self.seedance.next_video("create_dropped")
        film = self.ask()
        assert film.video is not None
        film.video.adopt("task_of_somebody_else")
        self.seedance.run_until_done()
        self.assertEqual(film.stage, Film.Stage.UNCERTAIN)
        page = self.client.get(film.get_absolute_url())
        self.assertContains(page, "The API does not know the film: somebody has to look")
        self.assertFalse(Refund.objects.exists())

    def test_an_unknown_create_that_is_given_up_is_told_and_not_refunded(self) -> None:
        self.seedance.next_video("create_dropped")
        film = self.ask()
        assert film.video is not None
        film.video.give_up()
        self.seedance.run_until_done()
        page = self.client.get(film.get_absolute_url())
        self.assertContains(page, "Given up: it is not known whether it was bought")
        self.assertFalse(Refund.objects.exists())

    def test_a_film_that_comes_late_is_published_unless_its_money_was_given_back(self) -> None:
        for is_refunded in (False, True):
            with self.subTest(is_refunded=is_refunded):
                self.seedance.next_video("stuck=400")
                film = self.ask()
                if is_refunded:
                    Refund.objects.create(film=film)
                self.seedance.advance(2000)
                film.refresh_from_db()
                stage = Film.Stage.READY if is_refunded else Film.Stage.PUBLISHED
                self.assertEqual(film.stage, stage)
                told = film.events.filter(text="Not published: its money was given back")
                self.assertEqual(told.exists(), is_refunded)

    def test_a_film_that_fails_late_is_refunded(self) -> None:
        self.seedance.next_video("stuck=400")
        film = self.ask()
        self.assertFalse(Refund.objects.exists())
        assert film.video is not None
        self.seedance.simulator.play(film.video.api_id, "failed")
        self.seedance.advance(2000)
        film.refresh_from_db()
        self.assertEqual(film.stage, Film.Stage.FAILED)
        self.assertEqual(Refund.objects.get().film, film)

    def test_a_film_that_did_not_fail_is_not_bought_again(self) -> None:
        film = self.ask()
        self.client.post(f"/films/{film.pk}/again/")
        self.assertEqual(Film.objects.count(), 1)

    def test_a_double_click_buys_one_film(self) -> None:
        form = _form()
        for _ in range(2):
            self.client.post("/", {**form, "images": [SimpleUploadedFile("one.png", PNG)]})
        self.seedance.run_until_done()
        self.assertEqual(self.seedance.charges, 1)
        [image] = Film.objects.get().images.all()
        self.assertEqual(default_storage.listdir("references"), ([], [Path(image.file.name).name]))

    def test_another_film_from_a_page_that_was_sent_is_asked_for_with_a_new_token(self) -> None:
        form = _form()
        self.client.post("/", form)
        response = self.client.post("/", {**form, "prompt": "A boat"})
        self.assertContains(response, "asked for a film before", status_code=422)
        self.assertEqual(Film.objects.count(), 1)
        token = re.search(r'name="token" value="([^"]+)"', response.content.decode())
        assert token is not None
        self.client.post("/", {**form, "prompt": "A boat", "token": token[1]})
        self.assertEqual(Film.objects.count(), 2)

    def test_the_token_of_somebody_else_brings_a_film_of_ones_own(self) -> None:
        form = _form()
        ann, bob = Client(), Client()
        ann.force_login(User.objects.create_user("ann"))
        bob.force_login(User.objects.create_user("bob"))
        for browser in (ann, bob, Client()):
            self.assertRedirects(browser.post("/", form), "/")
        self.assertEqual(Film.objects.values("video").distinct().count(), 3)
        self.seedance.run_until_done()
        self.assertEqual(self.seedance.charges, 3)

    def test_a_film_that_takes_too_long_can_be_waited_for_again(self) -> None:
        self.seedance.next_video("stuck=400")
        film = self.ask()
        assert film.video is not None
        self.assertEqual(film.video.status, Video.Status.TIMED_OUT)
        self.client.post(f"/films/{film.pk}/resume/")
        self.seedance.run_until_done()
        film.refresh_from_db()
        self.assertEqual(film.video.current().status, Video.Status.COMPLETED)
        self.assertEqual(self.seedance.charges, 1)

    def test_images_travel_with_the_film_and_are_there_for_another_try(self) -> None:
        self.seedance.next_video("failed")
        film = self.ask(images=[SimpleUploadedFile("one.png", PNG)])
        self.client.post(f"/films/{film.pk}/again/")
        self.seedance.run_until_done()
        bought = list(self.seedance.simulator.videos.values())
        self.assertEqual([len(video.order.images) for video in bought], [1, 1])
        response = self.client.get(film.images.get().file.url)
        self.assertEqual(b"".join(response), PNG)

    def test_a_film_whose_image_is_gone_cannot_be_tried_again(self) -> None:
        self.seedance.next_video("failed")
        film = self.ask(images=[SimpleUploadedFile("one.png", PNG)])
        default_storage.delete(film.images.get().file.name)
        response = self.client.post(f"/films/{film.pk}/again/", follow=True)
        self.assertContains(response, "one of its images is gone")
        self.assertEqual((Film.objects.count(), self.seedance.charges), (1, 1))

    def test_what_the_api_would_refuse_is_shown_at_its_field_and_costs_nothing(self) -> None:
        for values, words in (
            ({"seconds": 20}, "Seedance 2.0 takes 4 to 15 seconds"),
            ({"prompt": ""}, "This field is required"),
            ({"images": [SimpleUploadedFile("a.png", b"not an image")]}, "none of JPEG, PNG"),
            (
                {"model": "doubao-seedance-1-0-pro", "images": [SimpleUploadedFile("a.png", PNG)]},
                "takes no images",
            ),
        ):
            with self.subTest(**values):
                response = self.client.post("/", _form(**values))
                self.assertContains(response, words, status_code=422)
        self.assertEqual((Film.objects.count(), self.seedance.charges), (0, 0))

    def test_a_films_video_stays_when_old_videos_are_removed(self) -> None:
        film = self.ask()
        other = generate_video("Of no film")
        self.seedance.run_until_done()
        self.seedance.clock.advance(30 * 86400)
        call_command("seedance_sweep", "--prune-after", "10d", stdout=StringIO())
        self.assertEqual(Video.objects.get(), film.video)
        self.assertNotEqual(film.video, other)

    def test_nobody_else_sees_a_film(self) -> None:
        film = self.ask()
        assert film.video is not None
        status = f"/videos/{film.video.pk}/"
        for url in (film.get_absolute_url(), film.video.file.url, status):
            self.assertEqual(self.client.get(url).status_code, 200, url)
            self.assertEqual(Client().get(url).status_code, 404, url)
        stranger = Client()
        stranger.force_login(User.objects.create_user("stranger"))
        for url in (film.get_absolute_url(), film.video.file.url, status):
            self.assertEqual(stranger.get(url).status_code, 404, url)
        User.objects.filter(username="stranger").update(is_staff=True)
        self.assertEqual(stranger.get(film.video.file.url).status_code, 200)
        for action in ("again", "resume"):
            response = stranger.post(f"{film.get_absolute_url()}{action}/")
            self.assertEqual(response.status_code, 404)

    def test_a_page_of_films_takes_as_many_queries_as_one_film(self) -> None:
        self.ask()
        with CaptureQueriesContext(connection) as queries:
            self.client.get("/")
            of_one = len(queries)
        for _ in range(4):
            self.client.post("/", _form())
        with self.assertNumQueries(of_one):
            self.assertContains(self.client.get("/"), "<progress", 5)

    def test_signing_in_keeps_what_was_asked_for_before(self) -> None:
        user = User.objects.create_user("ann", "ann@example.org", "secret")
        self.client.post("/", _form())
        self.client.post("/login/", {"username": "ann", "password": "secret"})
        self.assertEqual(Film.objects.get().owner, user)

    def test_the_owner_gets_one_mail_at_the_end(self) -> None:
        self.client.force_login(User.objects.create_user("ann", "ann@example.org"))
        self.ask()
        self.assertEqual([message.to for message in mail.outbox], [["ann@example.org"]])
        self.assertEqual(mail.outbox[0].subject, "Your film is completed")
        film = Film.objects.get()
        self.assertIn(f"http://127.0.0.1:8000/films/{film.pk}/", mail.outbox[0].body)

    def test_a_player_gets_the_part_of_the_file_that_it_asks_for(self) -> None:
        film = self.ask()
        assert film.video is not None
        response = self.client.get(film.video.file.url, headers={"Range": "bytes=4-7"})
        self.assertEqual((response.status_code, response.content), (206, b"ftyp"))
        self.assertEqual(response["Content-Range"], f"bytes 4-7/{film.video.file_size}")
        response = self.client.get(film.video.file.url, headers={"Range": "bytes=-8"})
        self.assertEqual(len(response.content), 8)

    def test_pages_forbid_inline_code_and_have_none(self) -> None:
        film = self.ask()
        for url in ("/", film.get_absolute_url(), "/login/"):
            response = self.client.get(url)
            self.assertIn("script-src 'self';", response["Content-Security-Policy"])
            page = response.content.decode()
            self.assertNotRegex(page, r"<style|\sstyle=|\son\w+=")
            for script in re.findall(r"<script[^>]*>", page):
                self.assertIn(" src=", script)
