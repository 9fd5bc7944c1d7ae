"""A new project in an empty environment, with the wheel and what it asks for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SEEN = ("seedance.W002", "seedance.W003", "seedance.W010")
"""What `migrate` has to say of a project that `startproject` made: SQLite, no Celery, no key."""


@pytest.fixture(scope="module")
def python(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which nothing but the wheel was asked for."""
    venv = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    python = venv / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, str(built["wheel"])], timeout=240)
    if done.returncode and "CI" not in os.environ:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0
    return python


def run(python: Path, folder: Path, *command: str, key: str = "") -> str:
    env = {k: v for k, v in os.environ.items() if k not in ("COMETAPI_KEY", "PYTHONPATH")}
    env.pop("DJANGO_SETTINGS_MODULE", None)
    env |= {"COMETAPI_KEY": key} if key else {}
    done = subprocess.run(
        [str(python), *command], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_new_project_migrates_checks_and_imports_everything(python: Path, tmp_path: Path) -> None:
    run(python, tmp_path, "-m", "django", "startproject", "shop", ".")
    settings = tmp_path / "shop" / "settings.py"
    settings.write_text(settings.read_text() + 'INSTALLED_APPS.append("seedance_celery")\n')
    told = run(python, tmp_path, "manage.py", "migrate", "--verbosity", "0")
    assert sorted(set(re.findall(r"\((seedance\.\w+)\)", told))) == list(SEEN)
    run(python, tmp_path, "manage.py", "makemigrations", "--check", "--dry-run", key="any")
    every = (
        "import importlib, pkgutil, seedance_celery as package\n"
        "for module in pkgutil.walk_packages(package.__path__, 'seedance_celery.'):\n"
        "    if 'pytest_plugin' not in module.name and '__main__' not in module.name:\n"
        "        importlib.import_module(module.name)\n"
    )
    run(python, tmp_path, "manage.py", "shell", "--verbosity", "0", "-c", every)


def test_the_client_needs_no_project(python: Path, tmp_path: Path) -> None:
    code = (
        "from seedance_celery.client import Client\n"
        "from seedance_celery.simulator import SimulatorServer\n"
        "with SimulatorServer() as server, Client('simulator', server.url) as client:\n"
        "    print(client.create('A kite').status)\n"
        "import sys; assert 'django' not in sys.modules and 'celery' not in sys.modules\n"
    )
    assert run(python, tmp_path, "-c", code).strip() == "queued"
