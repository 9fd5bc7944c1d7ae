"""Builds the package, from a copy of what is in version control, and installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EPOCH = "1767225600"


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The source, where there is one: tox runs the tests beside an installed wheel."""
    if not (ROOT / "seedance_celery").is_dir():
        pytest.skip("the package's source is not here")
    pytest.importorskip("build")
    return ROOT


def build(source: Path, target: Path, *kinds: str) -> list[Path]:
    """Build from a copy, whose files are as old as the copy."""
    copy = target / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", ".*", "build", "dist", "_build", "node_modules")
    shutil.copytree(source, copy, ignore=ignored, copy_function=shutil.copyfile)
    shutil.copyfile(source / ".gitignore", copy / ".gitignore")
    env = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target / "dist")]
    subprocess.run(
        [*command, *kinds, str(copy)], check=True, env=env, timeout=120, stdout=subprocess.DEVNULL
    )
    return sorted((target / "dist").iterdir())


@pytest.fixture(scope="session")
def built(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel (made from the sdist) and the sdist."""
    files = build(checkout, tmp_path_factory.mktemp("built"))
    return {"wheel" if file.suffix == ".whl" else "sdist": file for file in files}


@pytest.fixture(scope="session")
def installed(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed, for `PYTHONPATH`; the rest is this environment's."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(built["wheel"])], check=True, timeout=120)
    return target
