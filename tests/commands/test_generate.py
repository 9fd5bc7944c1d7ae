"""`seedance_generate`: what it inserts, what it refuses, what it tells."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from seedance_celery.models import Video
from seedance_celery.testing import Seedance

from .conftest import Command

PROMPT = "A kite over a private beach"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def test_a_video_is_recorded_and_a_worker_buys_it(kit: Seedance, run: Command) -> None:
    ran = run("seedance_generate", PROMPT, "--seconds", "6", "--size", "1:1", "--timeout", "30m")
    video = Video.objects.get()
    assert (ran.status, ran.error) == (0, "")
    assert ran.out == f"{video.pk}  -  creating\n"
    assert (video.seconds, video.size, video.timeout) == (6, "1:1", 1800)
    assert kit.charges == 0
    kit.run_until_done()
    assert kit.charges == 1


def test_every_option_of_the_create_reaches_the_row(kit: Seedance, run: Command) -> None:
    options = ["--model", "seedance-2-5", "--account", "default", "--store"]
    run("seedance_generate", PROMPT, *options, "--idempotency-key", "order-7")
    video = Video.objects.get()
    assert (video.model, video.account) == ("seedance-2-5", "default")
    assert (video.idempotency_key, video.store_wanted) == ("order-7", True)


def test_the_same_idempotency_key_buys_one_video(kit: Seedance, run: Command) -> None:
    first = run("seedance_generate", PROMPT, "--idempotency-key", "k", "--json")
    second = run("seedance_generate", PROMPT, "--idempotency-key", "k", "--json")
    assert first.json["videos"][0]["pk"] == second.json["videos"][0]["pk"]
    kit.run_until_done()
    assert kit.charges == 1


def test_images_are_sent_with_the_create(kit: Seedance, run: Command, tmp_path: Path) -> None:
    paths = [tmp_path / "first.png", tmp_path / "second.png"]
    for path in paths:
        path.write_bytes(PNG)
    run("seedance_generate", PROMPT, "--image", str(paths[0]), "--image", str(paths[1]))
    assert len(Video.objects.get().images) == 2
    kit.run_until_done()
    assert Video.objects.get().status == "completed"


def test_the_prompt_can_come_from_standard_input(
    kit: Seedance, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PROMPT}\n"))
    run("seedance_generate", "-")
    assert Video.objects.get().prompt == PROMPT


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["  "], "prompt must be a text that is not blank"),
        ([PROMPT, "--seconds", "99"], "takes 4 to 15 seconds, not 99"),
        ([PROMPT, "--size", "large"], "size must be one of"),
        ([PROMPT, "--account", "nobody"], "has no account 'nobody'"),
        ([PROMPT, "--image", "/no/such/file.png"], "image cannot be read"),
        ([PROMPT, "--image", __file__], "Image 1 is none of"),
    ],
)
def test_what_the_api_would_refuse_ends_with_status_2_and_no_row(
    kit: Seedance, run: Command, arguments: list[str], told: str
) -> None:
    ran = run("seedance_generate", *arguments)
    assert ran.status == 2
    assert told in ran.error
    assert not Video.objects.exists()
    assert kit.charges == 0


def test_json_is_all_there_is_on_standard_output(kit: Seedance, run: Command) -> None:
    [told] = run("seedance_generate", PROMPT, "--json").json["videos"]
    video = Video.objects.get()
    assert told["pk"] == str(video.pk)
    assert (told["status"], told["api_id"], told["file"]) == ("creating", None, None)


def test_neither_prompt_nor_url_nor_key_is_told_unasked(kit: Seedance, run: Command) -> None:
    told = ""
    for how in ([], ["--json"]):
        run("seedance_generate", PROMPT)
        kit.run_until_done()
        pk = str(Video.objects.latest().pk)
        ran = run("seedance_track", pk, *how)
        told += ran.out + ran.error
    assert "completed" in told
    for secret in ("private beach", "signature=", "http", "sk-"):
        assert secret not in told


@pytest.mark.parametrize("how", [[], ["--json"]])
def test_the_signed_url_is_told_where_it_was_asked_for(
    kit: Seedance, run: Command, how: list[str]
) -> None:
    run("seedance_generate", PROMPT)
    kit.run_until_done()
    video = Video.objects.get()
    assert video.video_url
    assert video.video_url in run("seedance_track", str(video.pk), "--show-url", *how).out


def test_a_database_without_tables_is_told_in_a_line(kit: Seedance, run: Command) -> None:
    with connection.execute_wrapper(_no_such_table):
        ran = run("seedance_generate", PROMPT)
    assert ran.status == 2
    assert "Run manage.py migrate" in ran.error
    assert PROMPT not in ran.error


def _no_such_table(execute: Any, sql: str, *rest: Any) -> Any:
    return execute(sql.replace("seedance_celery_video", "no_such_table"), *rest)
