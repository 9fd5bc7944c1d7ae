"""Commands, in this process against the kit and in processes of their own."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from seedance_celery.testing import Seedance


@dataclasses.dataclass
class Ran:
    """What a command has written, and the exit status that it would end with."""

    out: str
    status: int
    error: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ran]


@pytest.fixture
def kit(transactional_db: None) -> Iterator[Seedance]:
    """A started kit, on a database whose commits are real."""
    with Seedance() as seedance:
        yield seedance


@pytest.fixture
def run() -> Command:
    """Run a command in this process."""

    def run(name: str, *arguments: str) -> Ran:
        out, error = io.StringIO(), io.StringIO()
        status, told = 0, ""
        try:
            call_command(name, *arguments, stdout=out, stderr=error, no_color=True)
        except CommandError as ended:
            status, told = ended.returncode, str(ended)
        return Ran(out.getvalue(), status, told + error.getvalue())

    return run
