"""The example project, as its own commands see it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "example_project"


@pytest.fixture
def manage(tmp_path: Path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "STUDIO_DATA": str(tmp_path)}
        for name in ("DJANGO_SETTINGS_MODULE", "CELERY_BROKER_URL", "COMETAPI_KEY", "STUDIO_LIVE"):
            env.pop(name, None)
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, cwd=EXAMPLE, env=env, capture_output=True, text=True, timeout=100, check=False
        )

    return run


def test_the_example_passes_djangos_checks(manage):
    done = manage("check", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


def test_the_examples_migrations_are_complete(manage):
    done = manage("makemigrations", "--check", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_examples_own_tests_pass(manage):
    done = manage("test", "--shuffle")
    assert done.returncode == 0, done.stderr
    assert "Ran 0 tests" not in done.stderr


def test_the_example_needs_nothing_that_it_does_not_ask_for():
    needs = (EXAMPLE / "requirements.txt").read_text().lower()
    sources = "\n".join(path.read_text() for path in EXAMPLE.rglob("*.py"))
    assert "sqlalchemy" in needs
    for absent in ("import psutil", "import pytest", "import redis"):
        assert absent not in sources
