"""A base class for every task, as some projects have one: no `DjangoTask`, hooks of its own."""

from __future__ import annotations

from typing import Any

from celery import Task

from tests.project.recorder import record


class Base(Task):  # type: ignore[type-arg]
    """Records what its hooks are called with, and breaks in one of them."""

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        """Break, after the fact."""
        record("hook", "on_success", task=self.name)
        raise RuntimeError("a hook of the project's")

    def after_return(self, *details: Any) -> None:
        """Record."""
        record("hook", "after_return", task=self.name)
