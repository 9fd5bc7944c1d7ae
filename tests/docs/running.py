"""Runs a page's code blocks in order, as a reader would type them into a project."""

from __future__ import annotations

import configparser
import copy
import importlib
import json
import logging.config
import os
import re
import shlex
import sys
import types
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from celery import Celery
from celery.app.defaults import NAMESPACES, flatten
from celery.bin.celery import celery as celery_command
from django.conf import settings
from django.contrib.auth.models import User
from django.core import checks
from django.core.management import load_command_class
from django.dispatch import Signal
from django.template import engines
from django.test import RequestFactory, override_settings
from django.urls import resolve

from seedance_celery import signals
from seedance_celery.acceptance.cli import parser as acceptance_parser
from seedance_celery.testing import Seedance

from .markdown import ROOT, Block

PACKAGE = "tests.docs.shop"
# What a page that is read by a person names, and a test may not use.
SERVER = "http://127.0.0.1:8765"
API = "https://api.cometapi.com"
ENVIRONMENT = {
    "COMETAPI_KEY": "sk-default",
    "COMETAPI_KEY_EU": "sk-eu",
    "MY_COMETAPI_KEY": "sk-own",
}


class Page:
    """A page that is being run: `names` is what its code sees, `kit` the API it talks to."""

    def __init__(self, kit: Seedance | None, stack: ExitStack) -> None:
        self._kit = kit
        self.names: dict[str, Any] = {}
        self.before: dict[str, Callable[[], Any]] = {}
        """What happens in the world before a block is run, by the block's first line."""
        self._stack = stack
        self._module = ""

    @property
    def kit(self) -> Seedance:
        """The simulated API; a page of tests brings its own."""
        assert self._kit is not None
        return self._kit

    def open(self, page: str, given: dict[str, Any]) -> None:
        """Begin a page, with what it takes for granted."""
        name = page.rpartition("/")[2].removesuffix(".md").replace("-", "_")
        self._module = f"{PACKAGE}.page_{name}"
        self.names = {"__name__": self._module, "__package__": PACKAGE, **given}

    def run(self, block: Block) -> None:
        """Run a block; raise whatever is wrong with it."""
        if block.first in self.before:
            self.before.pop(block.first)()
        if block.language == "python":
            self._run_python(block)
        elif block.language == "console":
            for line in block.text.splitlines():
                if line.startswith("$ "):
                    _parse_command(line.removeprefix("$ "))
        elif block.language == "indented":
            for line in block.text.splitlines():
                _parse_command(line)
        elif block.language in ("html", "html+django"):
            self._render(block)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "ini":
            configparser.ConfigParser(strict=True).read_string(block.text)
        else:
            raise AssertionError(f"{block}: nothing runs {block.language!r}; see not_run.py")

    # Python.

    def _run_python(self, block: Block) -> None:
        name = block.file.rpartition("/")[2]
        if block.file in ("shop/models.py", "shop/tasks.py"):
            _compare(block)
        elif name == "settings.py" or re.search(r"^SEEDANCE = ", block.text, re.M):
            self._apply(self._settings(block))
        elif name == "urls.py":
            _resolve(self._execute(block, {}))
        else:
            self._execute(block, self.names)

    def _execute(self, block: Block, names: dict[str, Any]) -> dict[str, Any]:
        # Blank lines before it, so that a traceback names the page's own line.
        source = "\n" * (block.line - 1) + block.text
        for address in (SERVER, API):
            if address in source:
                source = source.replace(address, self.kit.url)
        exec(compile(source, str(ROOT / block.page), "exec"), names)
        return names

    def _settings(self, block: Block) -> dict[str, Any]:
        names = {
            **self.names,
            "INSTALLED_APPS": list(settings.INSTALLED_APPS),
            "DATABASES": copy.deepcopy(settings.DATABASES),
            "STORAGES": copy.deepcopy(settings.STORAGES),
            "BASE_DIR": ROOT,
        }
        self.names = self._execute(block, names)
        return {name: value for name, value in names.items() if name.isupper()}

    def _apply(self, values: dict[str, Any]) -> None:
        """Look at settings as `manage.py check` does, then live with them until the page ends."""
        unknown = [name for name in values if name.startswith("CELERY_") and not _is_celerys(name)]
        assert not unknown, f"Celery has no such settings: {unknown}"
        _route(values)
        own = values.get("SEEDANCE", {})
        with override_settings(SEEDANCE=own, STORAGES=values["STORAGES"]):
            found = checks.run_checks(tags=["seedance"])
        assert not found, found
        current = settings.SEEDANCE
        kept = {
            name: current[name]
            for name in ("API_KEY", "BASE_URL", "POLL_COUNTDOWN")
            if name in current
        }
        changed = {"SEEDANCE": {**kept, **own, "BASE_URL": current["BASE_URL"]}}
        if values["STORAGES"] != settings.STORAGES:
            changed["STORAGES"] = values["STORAGES"]
        self._stack.enter_context(override_settings(**changed))

    # Templates.

    def _render(self, block: Block) -> None:
        request = RequestFactory().get("/")
        request.user = User(username="staff", is_staff=True)
        context = {"order": self.names.get("order"), "video": self.names.get("video")}
        rendered = engines["django"].from_string(block.text).render(context, request)
        if "seedance_progress" in block.text:
            assert "<seedance-progress" in rendered


def environment(stack: ExitStack) -> None:
    """Set what pages read from the environment, and import, until the stack ends."""
    sys.modules["shop"] = importlib.import_module(PACKAGE)
    stack.callback(sys.modules.pop, "shop")
    stack.callback(sys.modules.pop, "shop.secrets", None)
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)

    def restore() -> None:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

    stack.callback(restore)


def forget_receivers(stack: ExitStack) -> None:
    """Disconnect what pages connect, when the stack ends."""
    for signal in vars(signals).values():
        if isinstance(signal, Signal):
            stack.callback(_restore, signal, list(signal.receivers))


def _restore(signal: Signal, receivers: list[Any]) -> None:
    signal.receivers = receivers
    signal.sender_receivers_cache.clear()


def _is_celerys(name: str) -> bool:
    known = {key for key, _ in flatten(NAMESPACES)}
    return name.removeprefix("CELERY_").lower() in known


def _route(values: dict[str, Any]) -> None:
    """Look whether a Celery app with these settings has the queues that they name."""
    app = Celery("page", set_as_current=False)
    app.config_from_object(types.SimpleNamespace(**values), namespace="CELERY")
    own = values.get("SEEDANCE", {})
    named = {own[name] for name in ("QUEUE", "STORE_QUEUE") if name in own}
    listed = {queue.name for queue in app.conf.task_queues or ()}
    assert not listed or {*named, app.conf.task_default_queue} <= listed
    logging.config.DictConfigurator({"version": 1, **values.get("LOGGING", {})})


def _compare(block: Block) -> None:
    """A block that shows a file of the app shows all of it."""
    written = (ROOT / "tests" / "docs" / block.file).read_text()
    assert block.text == f"# {block.file}\n{written}", (
        f"{block} differs from tests/docs/{block.file}"
    )


def _resolve(names: dict[str, Any]) -> None:
    module = types.ModuleType("urls")
    module.urlpatterns = names["urlpatterns"]
    assert resolve("/videos/", module).view_name == "seedance_celery:statuses"


# Commands: each is parsed by what would run it.


def _parse_command(line: str) -> None:
    words = shlex.split(line, comments=True)
    program = words[0]
    if words[:2] == ["python", "manage.py"]:
        _parse_manage(words[2], words[3:])
    elif words[:3] == ["python", "-m", "seedance_celery.simulator"]:
        _parse_manage("seedance_simulator", words[3:])
    elif words[:3] == ["python", "-m", "seedance_celery.acceptance"]:
        acceptance_parser().parse_args(words[3:])
    elif words[:3] == ["python", "-m", "benchmarks"]:
        pass  # test_reference.py looks whether there is such a benchmark
    elif program == "celery":
        _parse_worker(words)
    elif program == "make":
        targets = (ROOT / "Makefile").read_text()
        assert f"\n{words[1]}:" in targets, f"There is no make {words[1]}"
    elif program == "pip":
        assert words[1] == "install"
        _check_requirement(words[2])
    else:
        raise AssertionError(f"Nothing knows how to look at `{line}`")


def _parse_worker(words: list[str]) -> None:
    worker = celery_command.commands["worker"]
    arguments = words[words.index("worker") + 1 :]
    parser = worker.make_parser(worker.context_class(worker))
    _, left, _ = parser.parse_args(list(arguments))
    assert not left, f"celery worker takes no {left}"


def _parse_manage(command: str, arguments: list[str]) -> None:
    app = "seedance_celery" if command.startswith("seedance_") else "django.core"
    load_command_class(app, command).create_parser("manage.py", command).parse_args(arguments)


def _check_requirement(requirement: str) -> None:
    if requirement == ".":
        return
    project = (ROOT / "pyproject.toml").read_text()
    name, _, extra = requirement.rstrip("]").partition("[")
    assert f'name = "{name}"' in project
    assert not extra or f"\n{extra} = [" in project, f"There is no extra {extra}"
