"""The suite of someone else's project, by both runners, against the wheel: quick and awake."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parents[1] / "kit" / "sample_project"
LIMIT = 2.0
"""Seconds of the processor that the tests may take, without the start of their runner."""
NO_TESTS = (0, 5)
"""The exit codes of the runners where nothing matches."""

AWAKE = """
import time

def sleep(seconds):
    raise AssertionError(f"something slept for {seconds} s")

time.sleep = sleep
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy, where the package's source is not."""
    return Path(shutil.copytree(SAMPLE, tmp_path / "shop"))


@pytest.fixture
def awake(tmp_path: Path) -> Path:
    """A folder for `PYTHONPATH` that lets nothing sleep."""
    folder = tmp_path / "awake"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(AWAKE)
    return folder


def run(
    project: Path, *path: Path, command: list[str], expected: tuple[int, ...] = (0,)
) -> tuple[str, float]:
    """Return what a command said and the seconds of the processor that it took."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = done.stdout + done.stderr
    assert done.returncode in expected, told
    return told, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_the_wheel_is_what_is_tested(project: Path, installed: Path) -> None:
    command = ["-c", "import seedance_celery as s; print(s.__file__)"]
    assert run(project, installed, command=command)[0].startswith(str(installed))


@pytest.mark.parametrize(
    ("runner", "count"),
    [
        (["manage.py", "test"], r"Ran (\d+) tests"),
        (["-m", "pytest", "-p", "no:randomly"], r"(\d+) passed"),
    ],
    ids=["django", "pytest"],
)
def test_a_suite_takes_two_seconds_and_never_sleeps(
    project: Path, installed: Path, awake: Path, runner: list[str], count: str
) -> None:
    nothing = [*runner, "-k", "no_such_test"]
    _, start = run(project, awake, installed, command=nothing, expected=NO_TESTS)
    told, whole = run(project, awake, installed, command=runner)
    found = re.search(count, told)
    assert found, told
    assert int(found[1]) >= 7
    # A machine that takes over a second to start a runner is as much slower with its tests.
    assert whole - start < LIMIT * max(1.0, start)


@pytest.mark.parametrize(
    "runner",
    [["manage.py", "test", "--parallel", "2"], ["-m", "pytest", "-n", "2"]],
    ids=["django", "pytest"],
)
def test_a_suite_runs_in_several_processes(
    project: Path, installed: Path, runner: list[str]
) -> None:
    run(project, installed, command=runner)
