"""The picture of the rooms shows the contract, and the contract has every room."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import seedance_celery

from .markdown import DOCS, ROOT

PACKAGE = Path(seedance_celery.__file__).parent
MOST_FILES = 24
MOST_MODULES = 12
APART = ("migrations", "simulator")
"""A history, and a program of its own."""


@pytest.fixture(scope="module")
def rooms() -> ModuleType:
    """The module that draws the picture."""
    spec = importlib.util.spec_from_file_location("rooms", DOCS / "_ext" / "rooms.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_picture_is_drawn_from_the_contract(rooms: ModuleType) -> None:
    if not (ROOT / "seedance_celery").is_dir():
        pytest.skip("the package's source is not here")
    told = "The picture of the rooms is old: run `make reference`."
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.drawn(), told


def test_contract_names_every_module_once(rooms: ModuleType) -> None:
    named = [name for tier in rooms.tiers() for name in tier]
    there = {
        path.stem
        for path in PACKAGE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert len(named) == len(set(named))
    assert set(named) == there - {"__init__", "migrations"}


def test_architecture_tells_of_every_room(rooms: ModuleType) -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(\w+)/`", text))
    there = {name for tier in rooms.tiers() for name in tier if (PACKAGE / name).is_dir()}
    assert there - {"templatetags"} <= told


def test_every_room_says_what_happens_in_it(rooms: ModuleType) -> None:
    for tier in rooms.tiers():
        for name in tier:
            assert len(rooms.caption(name)) > 10, name


def test_few_modules_lie_beside_the_rooms() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_FILES
    for room in PACKAGE.iterdir():
        if (room / "__init__.py").exists() and room.name not in APART:
            modules = [path for path in room.glob("*.py") if path.name != "__init__.py"]
            assert len(modules) <= MOST_MODULES, room.name
