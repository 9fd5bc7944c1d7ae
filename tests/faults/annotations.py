"""Hooks that a user's `task_annotations` put in the place of every task's own."""

from __future__ import annotations

from typing import Any

from tests.project.recorder import record


def _on_failure(self: Any, exc: BaseException, *details: Any) -> None:
    record("hook", "on_failure", exc=type(exc).__name__, task=self.name)


class Hooks:
    """A `task_annotations` object: the same for each task."""

    def annotate_any(self) -> dict[str, Any]:
        """Return the attributes that every task gets."""
        return {"on_failure": _on_failure}

    def annotate(self, task: Any) -> None:
        """Return nothing for a task of its own."""
