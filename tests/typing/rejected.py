"""Wrong uses: type checkers reject the lines that are marked, and no other."""

from __future__ import annotations

from seedance_celery.client import Client
from seedance_celery.models import Video
from seedance_celery.shortcuts import generate_video, track_video, wait_for_video
from seedance_celery.task_types import CreateOptions
from seedance_celery.tasks import create_video, poll_video, store_video
from seedance_celery.testing import Seedance

create_video.s("A kite", second=5)  # wrong: no such option
create_video.s("A kite", seconds="5")  # wrong: text
create_video.s("A kite", "doubao-seedance-2-0")  # wrong: options are by name
create_video.delay()  # wrong: no prompt
create_video.delay(5)  # wrong: no text
create_video.delay("A kite", images=[b"png"])  # wrong: names, not bytes
create_video.apply_async(kwargs={"prompt": "A kite", "second": 5})  # wrong: no such option
create_video("A kite")["video_url"]  # wrong: not in the reply
poll_video.s(timeot=60)  # wrong: no such option
poll_video.s(timeout="60")  # wrong: text
poll_video.s(7)  # wrong: no id of a video
poll_video.si()  # wrong: an immutable signature gets no video
poll_video.delay("task_1", propagate=False, seconds=5)  # wrong: an option of create_video
poll_video.delay_on_commit("task_1", 60)  # wrong: options are by name
poll_video.apply_async(("task_1", 60))  # wrong: options are by name
poll_video("task_1")["url"]  # wrong: it is video_url
poll_video("task_1")["file"]  # wrong: of store_video
store_video.s(account="eu")  # wrong: no options
store_video("task_1")["file_size"].lower()  # wrong: a number
options: CreateOptions = {"lenght": 5}  # wrong: no such option
generate_video("A kite", second=5)  # wrong: no such option
generate_video(prompt=None)  # wrong: no text
track_video(7)  # wrong: no id
wait_for_video(7)  # wrong: no id
Client(timeout=5)  # wrong: a pair
Client().retrieve("task_1").url  # wrong: it is video_url
Video().resume("60")  # wrong: text


def wrong_tests(seedance: Seedance) -> None:
    seedance.run_until_done("60")  # wrong: text
    seedance.assert_charged()  # wrong: how many?
    seedance.assert_requested(create="1")  # wrong: text
