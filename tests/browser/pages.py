"""Pages as people see them, and what their consoles say."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

PATIENCE = 60_000
"""Milliseconds that a page has to show what it is asked for: a limit for what never comes true."""

expect.set_options(timeout=PATIENCE)


class Tab:
    """A page and what its console said: a violation of the policy is said there, too."""

    def __init__(self, context: Any, url: str) -> None:
        self.context = context
        self.url = url
        self.page = context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.set_default_timeout(PATIENCE)

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.said.append(text)

    def open(self, path: str) -> Any:
        """Go to a path of the site."""
        self.page.goto(self.url + path)
        return self.page

    def shows(self, *texts: str) -> None:
        """Wait until the page shows all of these."""
        for text in texts:
            expect(self.page.get_by_text(text).first).to_be_visible()

    def forgive(self, *texts: str) -> None:
        """Take out what a test has brought about itself, such as a lost connection."""
        self.said = [said for said in self.said if not any(text in said for text in texts)]


def bar(page: Any) -> Any:
    """Return the page's progress bar."""
    return page.get_by_role("progressbar")


def play(player: Any) -> float:
    """Play a video; return the second that it has come to."""
    played = """v => new Promise((done, fail) => {
      v.ontimeupdate = () => v.currentTime > 0 && done(v.currentTime);
      v.play().catch(fail);
    })"""
    return float(player.evaluate(played))


def serious(page: Any, part: str = "html") -> list[str]:
    """Return what axe-core finds to be serious or critical."""
    # Axe takes what is behind a page for white, whatever its colour scheme.
    page.evaluate("document.body.style.background ||= 'Canvas'")
    violations = Axe().run(page, context=part).response["violations"]
    found = [v for v in violations if v["impact"] in ("serious", "critical")]
    return [f"{v['id']}: {node['html'][:200]}" for v in found for node in v["nodes"]]
