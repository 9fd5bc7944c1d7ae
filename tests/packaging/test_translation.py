"""What people see can be translated: Django's own command finds it, and takes a translation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from seedance_celery.models import Video

pytestmark = pytest.mark.skipif(
    shutil.which("xgettext") is None, reason="needs xgettext (apt-get install gettext)"
)


def django(folder: Path, *command: str) -> None:
    env = {name: v for name, v in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-m", "django", *command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()


def test_messages_are_found_and_compiled(checkout: Path, tmp_path: Path) -> None:
    package = shutil.copytree(checkout / "seedance_celery", tmp_path / "seedance_celery")
    (package / "locale").mkdir(exist_ok=True)
    django(package, "makemessages", "--locale", "xx", "--no-location")
    catalog = package / "locale" / "xx" / "LC_MESSAGES" / "django.po"
    text = catalog.read_text()
    found = set(re.findall(r'^msgid "(.+)"$', text, re.M))
    assert {str(label) for label in Video.Status.labels} <= found
    assert {"Adopt an API id", "Buy again", "Progress of the video", "Refresh"} <= found
    catalog.write_text(text.replace('msgid "Refresh"\nmsgstr ""', 'msgid "Refresh"\nmsgstr "Neu"'))
    django(package, "compilemessages", "--locale", "xx")
    assert catalog.with_suffix(".mo").stat().st_size > 0
