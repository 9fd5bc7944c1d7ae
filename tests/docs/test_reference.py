"""The reference lists everything that there is, and nothing that there is not."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.dispatch import Signal
from django.test import override_settings

import seedance_celery.management.commands
from seedance_celery import exceptions, forms, shortcuts, signals, tasks, testing
from seedance_celery.conf import settings
from seedance_celery.management.doctor import PROBES
from seedance_celery.models import Video
from seedance_celery.models.actions import Actions
from seedance_celery.status import ShownVideo
from seedance_celery.templatetags.seedance import register

from .markdown import DOCS, ROOT, blocks, pages

REFERENCE = DOCS / "reference"
PACKAGE = Path(seedance_celery.__file__).parent  # where tox runs, it is not in the checkout


def _from_code() -> ModuleType:
    """Return the part of the Sphinx extension that needs no Sphinx."""
    path = DOCS / "_ext" / "from_code.py"
    spec = importlib.util.spec_from_file_location("from_code", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["from_code"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


from_code = _from_code()


def _text(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text()


# Settings.


def test_each_setting_has_a_text_a_default_and_an_example_that_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_COMETAPI_KEY", "sk-own")
    found = from_code.settings()
    assert [setting.name for setting in found] == list(settings.FIELDS)
    for setting in found:
        assert setting.text.endswith("."), setting
        assert setting.default, setting
        value = eval(f"{{{setting.example}}}", {"os": os})
        with override_settings(SEEDANCE={"API_KEY": "sk-own", **value}):
            assert not settings.problems(), setting


@pytest.mark.parametrize("page", from_code.PAGES)
def test_what_a_page_takes_from_the_code_is_current(page: str) -> None:
    assert "<!-- from the code: " in (REFERENCE / page).read_text()
    assert (REFERENCE / page).read_text() == from_code.written(page), "run `make reference`"


def test_the_page_of_the_settings_has_a_row_for_each() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \|", _text("settings"), re.M)
    assert rows == list(settings.FIELDS)


def test_each_number_in_the_settings_has_a_unit() -> None:
    for setting in from_code.settings():
        if re.search(r"\b(int|float)\b", setting.type):
            assert setting.unit, f"{setting.name} says nowhere what it counts: {setting.text}"


def test_the_readmes_settings_have_the_defaults_that_it_says() -> None:
    table = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    defaults = settings.Settings()
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([^|]*) \|", table, re.M)
    assert len(rows) > 5
    for name, default in rows:
        value = getattr(defaults, name.lower())
        if re.fullmatch(r"[\d(]+.*|True|False", default):
            assert eval(default) == value, name


@pytest.mark.parametrize("page", pages())
def test_a_setting_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    named = set(re.findall(r"\{confval\}`([A-Z_]+)`", text))
    named |= set(re.findall(r"SEEDANCE\[[\"']([A-Z_]+)[\"']\]", text))
    assert named <= set(settings.FIELDS)


# What has a page.


def test_every_signal_is_explained() -> None:
    names = {name for name, value in vars(signals).items() if isinstance(value, Signal)}
    assert set(re.findall(r"autodata:: (\w+)", _text("signals"))) == names
    readme = (ROOT / "README.md").read_text()
    assert set(re.findall(r"`(video_\w+|account_\w+)`(?=.*\|)", readme)) >= names


def test_every_status_is_explained() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", _text("statuses"), re.M)
    assert [word for row in rows for word in re.findall(r"`(\w+)`", row)] == Video.Status.values
    readme = (ROOT / "README.md").read_text()
    assert all(f"`{status}`" in readme for status in Video.Status.values)


def test_every_exception_is_explained() -> None:
    listed = re.findall(r"autoexception:: (\w+)", _text("exceptions"))
    assert sorted(listed) == sorted([*exceptions.__all__, "UnknownAccount"])


def test_every_system_check_is_explained() -> None:
    listed = re.findall(r"^### (seedance\.[EW]\d{3})$", _text("checks"), re.M)
    assert len(set(listed)) == len(listed)
    assert set(listed) == _check_ids()


def _check_ids() -> set[str]:
    found = set(re.findall(r"seedance\.[EW]\d{3}", (PACKAGE / "conf" / "settings.py").read_text()))
    for path in (PACKAGE / "checks").glob("*.py"):
        for kind, number in re.findall(r"\b(error|warning)\(\s*(\d+)", path.read_text()):
            found.add(f"seedance.{kind[0].upper()}{int(number):03}")
    return found


def test_every_command_is_explained() -> None:
    path = seedance_celery.management.commands.__path__
    names = sorted(module.name for module in pkgutil.iter_modules(path))
    assert sorted(re.findall(r"^## (seedance_\w+)$", _text("commands"), re.M)) == names
    assert sorted(_commands()) == names


def _commands() -> list[str]:
    return re.findall(r"^<!-- from the code: command (\w+) -->$", _text("commands"), re.M)


def test_every_part_that_the_doctor_looks_at_is_explained() -> None:
    text = (DOCS / "how-to" / "find-out-why-nothing-happens.md").read_text()
    first = re.findall(r"^\| (`[^|]+) \|", text, re.M)
    listed = {part for row in first for part in re.findall(r"`(\w+)`", row)}
    assert {probe.part for probe in PROBES} <= listed


def test_every_option_of_a_command_is_written() -> None:
    for name in _commands():
        written = "\n".join(from_code.command_markdown(name))
        for action in from_code.parser_of(name)._actions:
            if action.dest not in from_code.DJANGOS:
                assert f"`{from_code._spelled(action)}`" in written
                assert action.help, f"{name} {action.dest} has no help"


def test_every_task_and_shortcut_is_explained() -> None:
    text = _text("tasks")
    assert all(name in text for name in tasks.__all__)
    assert set(re.findall(r"\{seedance-task\} (\w+)", text)) == {
        "create_video",
        "poll_video",
        "store_video",
    }
    assert re.findall(r"autofunction:: (\w+)", _text("shortcuts")) == [
        *shortcuts.__all__,
        *forms.__all__,
    ]


def test_every_method_of_a_video_is_explained() -> None:
    methods = {name for name, method in vars(Actions).items() if inspect.isfunction(method)}
    public = {name for name in methods if not name.startswith("_")}
    assert "resume" in public
    assert public <= set(re.findall(r"automethod:: (\w+)", _text("video")))


def test_every_name_of_the_test_kit_is_explained() -> None:
    listed = set(re.findall(r"auto\w+:: (?:[\w.]+\.)?(\w+)", _text("testing")))
    assert set(testing.__all__) - {"Simulator"} <= listed
    assert testing.Simulator.__name__ in listed


def test_every_template_tag_is_explained() -> None:
    assert set(re.findall(r"^`\{% (\w+)", _text("template-tags"), re.M)) == set(register.tags)


def test_the_sample_of_the_status_endpoint_has_every_key() -> None:
    (sample,) = [
        json.loads(b.text) for b in blocks(_page("status-endpoint")) if b.language == "json"
    ]
    assert set(sample) == set(ShownVideo.__annotations__) - {"video_url"}


def _page(name: str) -> str:
    return f"docs/reference/{name}.md"


# What pages name.


@pytest.mark.parametrize("page", pages())
def test_a_python_name_that_a_page_gives_in_full_exists(page: str) -> None:
    for name in re.findall(r"(?<![\w/])(seedance_celery(?:\.\w+)+)", (ROOT / page).read_text()):
        assert _exists(name), f"{page} names {name}"


@pytest.mark.parametrize("page", pages())
def test_a_benchmark_that_a_page_names_exists(page: str) -> None:
    named = re.findall(
        r"(?:python -m benchmarks |make bench ARGS=\"?)(?!list)(\w+)", (ROOT / page).read_text()
    )
    assert all((ROOT / "benchmarks" / f"{name}.py").exists() for name in named), named


@pytest.mark.parametrize(("spelled", "cls"), [("video", Video), ("seedance", testing.Seedance)])
def test_a_method_that_a_page_names_exists(spelled: str, cls: type) -> None:
    for page in pages():
        for name in re.findall(rf"\b{spelled}\.(\w+)\(", (ROOT / page).read_text()):
            assert hasattr(cls, name), f"{page} names {spelled}.{name}()"


def _exists(name: str) -> bool:
    label, _, model = name.rpartition(".")
    if label in apps.app_configs and model.lower() in apps.get_app_config(label).models:
        return True
    module, names = name, []
    while module:
        try:
            found: Any = importlib.import_module(module)
        except ImportError:
            module, _, last = module.rpartition(".")
            names.insert(0, last)
            continue
        for attribute in names:
            found = getattr(found, attribute, None)
        return found is not None
    return False
