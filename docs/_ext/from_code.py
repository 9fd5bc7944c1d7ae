"""What the reference takes from the code itself: settings, commands, tasks, scenarios.

Settings, commands and scenarios stand in their pages as Markdown, between two comments, so that
they can be read without a build: `make reference` writes them anew, and a test says when they are
old. Tasks are a directive of `seedance_docs`.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
UNITS = ("seconds", "bytes", "videos", "tasks")


def set_django_up() -> None:
    """Let the models and the tasks be imported, which need a Django that is set up."""
    import django
    from django.conf import settings as django_settings

    django_settings.configure(
        INSTALLED_APPS=[
            "django.contrib.contenttypes",
            "django.contrib.auth",
            "seedance_celery",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        SEEDANCE={"API_KEY": "simulator"},
        USE_TZ=True,
    )
    django.setup()


# Settings.


@dataclasses.dataclass(frozen=True)
class Setting:
    """One key of `SEEDANCE`, as the reference tells it."""

    name: str
    type: str
    default: str
    unit: str
    text: str
    example: str

    @property
    def tells(self) -> bool:
        """Whether the example says more than the default does."""
        return self.example != f'"{self.name}": {self.default}'


def settings() -> list[Setting]:
    """Return every field of the dataclass, in its order."""
    from seedance_celery.conf import settings

    texts = _attribute_texts(settings.Settings)
    return [_setting(field, texts[field.name]) for field in dataclasses.fields(settings.Settings)]


def _setting(field: Any, text: str) -> Setting:
    words = re.findall(r"[a-z]+", text.lower())
    counts = re.search(r"\b(int|float)\b", str(field.type))
    unit = next((unit for unit in UNITS if counts and unit in words), "")
    type_ = str(field.type).replace("| None", "or None").replace(" | ", " or ")
    type_ = type_.replace("catalog.", "")
    name = field.name.upper()
    return Setting(name, type_, _default(field), unit, text, f'"{name}": {_example(field)}')


def _default(field: Any) -> str:
    if field.name == "api_key":
        return "the environment variable COMETAPI_KEY"
    if field.name == "models":
        return "the built-in table"
    if field.default is dataclasses.MISSING:
        return repr(field.default_factory())
    return repr(field.default)


# Where the code's own example is a default, or another setting's.
EXAMPLES = {
    "models": '{"seedance-3-0": {"seconds": (4, 20), "images": True}}',
    "store_queue": "'files'",
}


def _example(field: Any) -> str:
    return EXAMPLES.get(field.name) or str(field.metadata["example"])


def _attribute_texts(cls: type) -> dict[str, str]:
    """Return the string after each annotated name in a class body."""
    (body,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(body, ast.ClassDef)
    texts: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(text.value, ast.Constant)
            texts[field.target.id] = inspect.cleandoc(str(text.value.value))
    return texts


def settings_markdown() -> Iterator[str]:
    """Write a table of the settings; `seedance_docs` lets `{confval}` refer to its rows."""
    yield "| key | type | default | what it is |"
    yield "|---|---|---|---|"
    for setting in settings():
        unit = f", {setting.unit}" if setting.unit else ""
        default = setting.default
        if " " not in default or default[0] in "({'":
            default = f"`{default}`"
        text = setting.text.replace("\n", " ")
        if setting.tells:
            text += f" For example `{setting.example}`."
        yield f"| `{setting.name}` | {setting.type}{unit} | {default} | {text} |"


# Commands.


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return the parser of one of our management commands."""
    from django.core.management import load_command_class

    return load_command_class("seedance_celery", name).create_parser("manage.py", name)


# What every command of Django has.
DJANGOS = {
    *("help", "version", "verbosity", "settings", "pythonpath", "traceback"),
    *("no_color", "force_color", "skip_checks"),
}


def command_markdown(name: str) -> Iterator[str]:
    """Write a command's help, its options and, where it has any, its exit statuses."""
    parser = parser_of(name)
    yield str(parser.description)
    yield ""
    yield "| argument | what it does |"
    yield "|---|---|"
    for action in parser._actions:
        if action.dest in DJANGOS:
            continue
        default = f" Default: `{action.default}`." if _has_default(action) else ""
        yield f"| `{_spelled(action)}` | {_cell(_sentence(action.help or ''))}{default} |"
    if parser.epilog:
        yield from ("", "```text", str(parser.epilog), "```")


def _spelled(action: argparse.Action) -> str:
    if not action.option_strings:
        return action.dest.upper()
    takes = action.nargs != 0
    metavar = action.metavar or action.dest.upper()
    return action.option_strings[-1] + (f" {metavar}" if takes else "")


def _has_default(action: argparse.Action) -> bool:
    return action.default not in (None, False, [], "==SUPPRESS==")


def _sentence(text: str) -> str:
    text = re.sub(r"SEEDANCE\['\w+'\]", r"`\g<0>`", text)
    return f"{text[:1].upper()}{text[1:]}.".replace("..", ".")


# Tasks.


def task_markdown(name: str) -> Iterator[str]:
    """Write a task as the function that its signature describes, with its docstring."""
    from seedance_celery import tasks

    run = inspect.unwrap(getattr(tasks, name).run)
    signature = inspect.signature(getattr(run, "__func__", run))
    parameters = [p for p in signature.parameters.values() if p.name != "self"]
    given = str(signature.replace(parameters=parameters))
    given = given.replace("'", "").replace("results.", "")
    yield f"````{{py:function}} {name}{given}"
    yield ":module: seedance_celery.tasks"
    yield ""
    yield inspect.cleandoc(run.__doc__ or "")
    yield "````"


# The simulator's scenarios.


def scenarios_markdown() -> Iterator[str]:
    """Write a table of what the simulator can play."""
    from seedance_celery.simulator.scenarios import SCENARIOS

    yield "| scenario | what it plays |"
    yield "|---|---|"
    for scenario in SCENARIOS.values():
        yield f"| `{scenario.name}` | {_cell(scenario.about)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


# Pages that hold what is written above.


def written(page: str) -> str:
    """Return a page's text with what it takes from the code as the code is now."""
    between = re.compile(r"(<!-- from the code: (.+?) -->\n).*?(?=<!-- end -->)", re.S)
    return between.sub(_written, (REFERENCE / page).read_text())


def _written(match: re.Match[str]) -> str:
    name, *arguments = match[2].split()
    lines = WRITERS[name](*arguments)
    return f"{match[1]}\n{chr(10).join(lines)}\n\n"


WRITERS = {
    "settings": settings_markdown,
    "command": command_markdown,
    "scenarios": scenarios_markdown,
}
PAGES = ("settings.md", "commands.md", "testing.md")


if __name__ == "__main__":
    set_django_up()
    for page in PAGES:
        (REFERENCE / page).write_text(written(page))
