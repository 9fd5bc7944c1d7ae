"""What Sphinx adds to the reference: the tasks as functions, and where `{confval}` leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import from_code
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList


def _directive(write: Callable[..., Iterator[str]], arguments: int = 0) -> type[Directive]:
    class Written(Directive):
        required_arguments = arguments

        def run(self) -> list[nodes.Node]:
            source, line = self.state_machine.get_source_and_line(self.lineno)
            text = StringList("\n".join(write(*self.arguments)).splitlines(), source=source or "")
            parent = nodes.Element()
            self.state.nested_parse(text, line or 0, parent)
            return list(parent.children)

    return Written


def _without_constructor(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returned: str
) -> tuple[str, None] | None:
    # Nobody raises them but the package: their attributes are in their text.
    return ("", None) if what == "exception" and signature else None


def _name_settings(app: Any, doctree: nodes.document) -> None:
    """Let `{confval}` refer to the rows of the table of settings, which is plain Markdown."""
    if app.env.docname != "reference/settings":
        return
    names = {setting.name for setting in from_code.settings()}
    for row in doctree.findall(nodes.row):
        name = row[0].astext()
        if name in names:
            row["ids"].append(name)
            app.env.get_domain("std").note_object("confval", name, name, location=row)


def setup(app: Any) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("seedance-task", _directive(from_code.task_markdown, arguments=1))
    app.connect("autodoc-process-signature", _without_constructor)
    app.connect("doctree-read", _name_settings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
