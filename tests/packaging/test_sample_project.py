"""The suite of someone else's project, by both runners, against the wheel, without sleeping."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[1] / "kit" / "sample_project"
LIMIT = 2.0
"""Seconds that the tests may take, without the interpreter's start."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy, where the package's source is not."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "shop"))


def run(project: Path, installed: Path, *command: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(installed)}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    return told


def test_the_wheel_is_what_is_tested(project: Path, installed: Path) -> None:
    where = run(project, installed, "-c", "import seedance_celery as s; print(s.__file__)")
    assert where.startswith(str(installed))


def test_djangos_runner_is_done_in_two_seconds(project: Path, installed: Path) -> None:
    told = run(project, installed, "manage.py", "test")
    found = re.search(r"Ran (\d+) tests in ([\d.]+)s", told)
    assert found, told
    assert int(found[1]) >= 7
    assert float(found[2]) < LIMIT


def test_djangos_runner_takes_several_processes(project: Path, installed: Path) -> None:
    assert "OK" in run(project, installed, "manage.py", "test", "--parallel", "2")


def test_pytest_is_done_in_two_seconds(project: Path, installed: Path) -> None:
    run(project, installed, "-m", "pytest", "-q", "--junitxml=report.xml")
    cases = ET.parse(project / "report.xml").findall(".//testcase")
    assert len(cases) >= 13
    slowest_first = sorted((float(case.get("time", 0)) for case in cases), reverse=True)
    # The first test's setup makes the database.
    assert sum(slowest_first[1:]) < LIMIT


def test_pytest_takes_several_processes(project: Path, installed: Path) -> None:
    assert "passed" in run(project, installed, "-m", "pytest", "-q", "-n", "2")
