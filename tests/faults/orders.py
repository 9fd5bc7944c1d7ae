"""What the site's web process does in the fault suite."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from celery import chain, chord, current_app, group
from django.utils import timezone

from seedance_celery.models import KeptTask, Video
from seedance_celery.shortcuts import generate_video
from seedance_celery.tasks import create_video, poll_video
from tests.project import chains as chains_at_module_level
from tests.project.tasks import errback, gather, keep, my_create, old_errback, slow


def chains(tags: list[str]) -> list[str]:
    """Send a chain for each tag; return the Celery ids of the steps that wait."""
    ids = []
    for tag in tags:
        poll = poll_video.s().on_error(errback.s(tag=tag))
        result: Any = chain(create_video.s("A kite"), poll, keep.s(tag=tag)).apply_async()
        ids.append(str(result.parent.id))
    return ids


def both_errbacks(tags: list[str]) -> None:
    """Send a chain for each tag, with an errback of each kind."""
    for tag in tags:
        poll = poll_video.s().on_error(errback.s(tag=tag)).on_error(old_errback.s(tag=tag))
        chain(create_video.s("A kite"), poll, keep.s(tag=tag)).apply_async()


def expiring(tag: str, seconds: float) -> None:
    """Send a chain whose first message expires after so many seconds."""
    chain(create_video.s("A kite").set(expires=seconds), poll_video.s(), keep.s(tag=tag))()


def expiring_soon(tags: list[str]) -> None:
    """Send chains whose `poll_video` expires after five seconds, long before the video's end."""
    for tag in tags:
        poll = poll_video.s().set(expires=5)
        chain(create_video.s("A kite"), poll, keep.s(tag=tag)).apply_async()


def rows(tags: list[str]) -> float:
    """Call `generate_video` for each tag, as a view does; return the seconds that it took."""
    start = time.monotonic()
    for tag in tags:
        generate_video("A kite", link=keep.s(tag=tag), link_error=errback.s(tag=tag))
    return time.monotonic() - start


def canvases(tags: list[str]) -> dict[str, int]:
    """Send one canvas of each kind; return how often each tag is to run."""
    first = tags[0]

    def bought() -> Any:
        return create_video.s("A kite")

    def polled() -> Any:
        return poll_video.s()

    chain(bought(), polled(), keep.s(tag=f"{first}-chain")).apply_async()
    inner = chain(polled(), keep.s(tag=f"{first}-nested"))
    chain(bought(), chain(inner, keep.s(tag=f"{first}-nested-2"))).apply_async()
    members = group(keep.s(tag=f"{first}-group-{n}") for n in range(2))
    chain(bought(), polled(), members).apply_async()
    after = group(keep.s(tag=f"{first}-body-{n}") for n in range(2))
    chain(bought(), polled(), after, gather.s(tag=f"{first}-body")).apply_async()
    parts = [chain(bought(), polled()) for _ in range(2)]
    chord(parts, gather.s(tag=f"{first}-chord")).apply_async()
    linked = polled()
    for number in range(2):
        linked.link(keep.s(tag=f"{first}-link-{number}"))
    chain(bought(), linked).apply_async()
    return {
        f"{first}-{name}": 1
        for name in (
            "chain",
            "nested",
            "nested-2",
            "group-0",
            "group-1",
            "body-0",
            "body-1",
            "body",
            "chord",
            "link-0",
            "link-1",
        )
    }


CANVASES = 7
"""How many videos `canvases` waits for."""


def with_sets(tags: list[str]) -> None:
    """Send chains whose last step has an argument that no JSON can hold."""
    for tag in tags:
        later = keep.s(tag=tag, extra={1, 2})
        chain(create_video.s("A kite"), poll_video.s(), later).apply_async()


def one_id_for_two(tag: str) -> None:
    """Send what a create task publishes that ran twice: one chain, for two videos."""
    for _ in range(2):
        api_id = my_create("A kite", "id")
        poll = poll_video.s(api_id).set(task_id=f"{tag}-poll")
        options = {"root_id": f"{tag}-create", "parent_id": f"{tag}-create"}
        poll.apply_async(link=keep.s(tag=tag), **options)


def seconds_pass(seconds: float) -> bool:
    """Let time pass in this process, for what can only be waited for."""
    time.sleep(seconds)
    return True


def fill_queue(count: int, seconds: float) -> None:
    """Put so many tasks of so many seconds into the queue."""
    for _ in range(count):
        slow.delay(tag="queue", seconds=seconds)


def revoke(celery_id: str) -> None:
    """Tell the workers to drop a task."""
    current_app.control.revoke(celery_id)


def followed() -> int:
    """Return how many videos are bought and not ended."""
    return Video.objects.filter(status__in=Video.POLLED).count()


def parked() -> int:
    """Return how many tasks wait for the end of a video, without a message."""
    waiting = KeptTask.objects.filter(task=poll_video.name, finished_at__isnull=True)
    return waiting.filter(due_at__isnull=True, lease_until__isnull=True).count()


def left() -> dict[str, int]:
    """Return how many rows have something left to do."""
    return {
        "videos": Video.objects.filter(overdue_at__isnull=False).count(),
        "tasks": KeptTask.objects.filter(finished_at__isnull=True).count(),
    }


def statuses() -> dict[str, str]:
    """Return each video's status by its pk."""
    return {str(pk): status for pk, status in Video.objects.values_list("pk", "status")}


def deadlines_ahead() -> bool:
    """Tell whether every video's deadline is about an hour after it was bought."""
    limits = timedelta(minutes=55), timedelta(minutes=65)
    return all(
        video.deadline_at is not None and limits[0] < video.deadline_at - timezone.now() < limits[1]
        for video in Video.objects.all()
    )


def chain_arguments(count: int) -> dict[str, list[str]]:
    """Return what to apply each chain object to, so many times."""
    names = [name for name in chains_at_module_level.ALL if name != "follow"]
    found = {name: [f"{name} {number}" for number in range(count)] for name in names}
    return {**found, "follow": [my_create("Bought elsewhere", "id") for _ in range(count)]}


def apply_chain_objects(count: int) -> None:
    """Apply each chain object so many times, as a view does."""
    for name, values in chain_arguments(count).items():
        for value in values:
            chains_at_module_level.ALL[name].apply_async((value,))


def apply_chain_objects_in_a_task(count: int) -> None:
    """Have one task apply each chain object so many times."""
    chains_at_module_level.apply_each.delay(chain_arguments(count))


def replacing_parts(count: int) -> None:
    """Send a chord whose parts are replaced by chains."""
    parts = [chains_at_module_level.replaced.s(f"Part {number}") for number in range(count)]
    chord(parts, gather.s(tag="replaced")).apply_async()


def ends() -> dict[str, int]:
    """Return how many videos there are, completed and stored, and how many tasks were kept."""
    return {
        "videos": Video.objects.count(),
        "completed": Video.objects.filter(status=Video.Status.COMPLETED).count(),
        "stored": Video.objects.exclude(file="").count(),
        "kept": KeptTask.objects.count(),
    }
