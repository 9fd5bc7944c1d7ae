"""Record what a version leaves in its tables: `python -m tests.upgrades.record`.

For the release of a version that adds migrations. It buys videos from the simulator, stops in the
middle, and writes the rows to a file with the name of the last migration. A file of a version that
was released stays as it is.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.project.settings")
HERE = Path(__file__).parent


def stop_in_the_middle(seedance: Any) -> None:
    """Leave one video in each of the states in which a deploy can find it."""
    from celery import chain

    from seedance_celery.shortcuts import generate_video
    from seedance_celery.tasks import create_video, poll_video
    from tests.kit.work import note

    seedance.next_video("normal")
    generate_video("Ended and announced", metadata={"order": 1})
    seedance.next_video("failed")
    generate_video("Failed")
    seedance.run_until_done()
    seedance.next_video("create_dropped")
    generate_video("Nobody knows", link=note.s(tag="adopted"))
    seedance.next_video("stuck")
    generate_video("Took too long", timeout=30, link_error=note.si(tag="too late"))
    seedance.run_until_done()
    seedance.next_video("stuck")
    waits = chain(create_video.s("Rendering"), poll_video.s(), note.s(tag="chain"))
    waits.apply_async()
    seedance.advance(40)
    generate_video("Not sent yet", link=note.s(tag="link"), idempotency_key="order-7")


def main() -> None:
    """Write the file."""
    django.setup()
    from django.apps import apps
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    from seedance_celery.models import Video
    from seedance_celery.testing import Seedance

    from .snapshots import APP, RECORDED, dump

    call_command("migrate", verbosity=0)
    with Seedance() as seedance:
        stop_in_the_middle(seedance)
        text = json.dumps(dump(apps, seedance.clock.time), indent=1)
        bought = Video.objects.exclude(api_id=None).order_by("created_at")
        for number, video in enumerate(bought, 1):
            text = text.replace(str(video.api_id), f"{RECORDED}{number}")
        text = text.replace(seedance.url, "http://127.0.0.1:1")
    ((_, name),) = MigrationLoader(connection).graph.leaf_nodes(APP)
    (HERE / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
