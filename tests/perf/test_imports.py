"""What a Django process imports when the app is installed."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.harness.processes import ROOT

HEAVY = ("requests", "requests_toolbelt", "urllib3", "rich", "boto3", "seedance_celery.simulator")


def loaded(code: str) -> set[str]:
    """Return the modules that a process has loaded after some code."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.project.settings"}
    code += "\nimport sys\nprint(*sys.modules)"
    # The tests' own tasks import requests, and are not imported by a web process.
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


def test_setting_django_up_loads_no_http_client_and_no_simulator() -> None:
    modules = loaded("import django; django.setup()")
    assert "seedance_celery.tasks" in modules
    assert not modules & set(HEAVY)


def test_views_shortcuts_and_tags_load_none_either() -> None:
    names = ("shortcuts", "status", "views", "urls", "templatetags.seedance")
    code = "\n".join(f"import seedance_celery.{name}" for name in names)
    modules = loaded(f"import django; django.setup()\n{code}")
    assert not modules & set(HEAVY)


def test_the_client_loads_neither_django_nor_celery() -> None:
    modules = loaded("import seedance_celery.client")
    assert "requests" in modules
    assert not modules & {"django", "celery", "kombu"}
