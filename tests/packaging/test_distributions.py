"""What is in the wheel and the sdist."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from .conftest import build

NEEDED = (
    "seedance_celery/_typed_tasks.pyi",
    "seedance_celery/migrations/0001_initial.py",
    "seedance_celery/py.typed",
    "seedance_celery/simulator/media/kite.mp4",
    "seedance_celery/static/seedance_celery/progress.js",
    "seedance_celery/templates/seedance_celery/progress.html",
    "seedance_celery/management/commands/seedance_doctor.py",
)
NOT_SHIPPED = ("tests", "benchmarks", "example_project", ".git", "__pycache__")


def source_files(checkout: Path) -> set[str]:
    files = (path for path in (checkout / "seedance_celery").rglob("*") if path.is_file())
    return {str(path.relative_to(checkout)) for path in files if "__pycache__" not in path.parts}


def wheel_files(built: dict[str, Path]) -> list[str]:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        return wheel.namelist()


def sdist_files(built: dict[str, Path]) -> list[str]:
    with tarfile.open(built["sdist"]) as sdist:
        return [name.partition("/")[2] for name in sdist.getnames()]


def test_the_wheel_is_the_package_and_nothing_else(checkout: Path, built: dict[str, Path]) -> None:
    files = wheel_files(built)
    assert set(NEEDED) <= set(files)
    package = {name for name in files if ".dist-info/" not in name}
    assert package == source_files(checkout)


def test_the_sdist_has_the_package_its_license_and_no_tests(
    checkout: Path, built: dict[str, Path]
) -> None:
    files = sdist_files(built)
    assert source_files(checkout) | {"LICENSE", "README.md", "CHANGELOG.md"} <= set(files)
    shipped = {part for name in files for part in Path(name).parts}
    assert shipped & set(NOT_SHIPPED) == set()


def test_both_are_the_same_when_they_are_built_again(
    checkout: Path, built: dict[str, Path], tmp_path: Path
) -> None:
    again = build(checkout, tmp_path)
    before = sorted(built.values(), key=lambda path: path.name)
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (*before, *again)]
    assert hashes[:2] == hashes[2:]


def test_the_index_would_take_them(built: dict[str, Path], checkout: Path) -> None:
    names = [str(path) for path in built.values()]
    for command in (
        ["twine", "check", "--strict", *names],
        ["check_wheel_contents", str(built["wheel"])],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=checkout,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
