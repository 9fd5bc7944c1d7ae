"""A real `celery worker` process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .events import Events
from .processes import Process
from .waiting import wait_until

POOLS = ("prefork", "threads", "gevent", "solo")
QUICK = ("--without-gossip", "--without-mingle", "--without-heartbeat")


class Worker(Process):
    """`celery -A tests.project worker`, in a session of its own.

    `skew`: by how many seconds its clock is ahead.
    """

    def __init__(
        self,
        name: str,
        env: Mapping[str, str],
        log: Path,
        events: Events,
        *,
        pool: str = "prefork",
        concurrency: int = 2,
        loglevel: str = "INFO",
        options: Sequence[str] = (),
        skew: float = 0.0,
    ) -> None:
        self.name = f"{name}@site"
        self._events = events
        celery = ["tests.harness.skewed", str(skew)] if skew else ["celery"]
        command = [sys.executable, "-m", *celery, "-A", "tests.project", "worker", *QUICK]
        command += ["--hostname", self.name, "--pool", pool, "--loglevel", loglevel]
        command += ["--concurrency", str(concurrency), *options]
        super().__init__(command, env, log)

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until it consumes. Raises `AssertionError` with its log where it does not."""

        def is_ready() -> bool:
            if not self.is_running:
                raise AssertionError(f"{self.name} ended with {self.exit_code}:\n{self.log(40)}")
            return self._events.count(event="ready", name=self.name, pid=self.pid) > 0

        wait_until(is_ready, timeout, f"{self.name} is ready", context=lambda: self.log(40))

    def term(self, timeout: float = 60.0) -> int:
        """Stop it warmly (SIGTERM), as a deploy does; return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def term_now(self, timeout: float = 60.0) -> int:
        """Stop it coldly (SIGQUIT); return the exit code."""
        self.signal(signal.SIGQUIT)
        return self.wait(timeout)

    def kill_child(self, pid: int | None = None) -> int:
        """SIGKILL one child of a prefork pool (the oldest by default); return its pid."""
        children = self.children()
        chosen = children[0] if pid is None else pid
        assert chosen in children, f"{chosen} is no child of {self.name}: {children}"
        os.kill(chosen, signal.SIGKILL)
        return chosen

    def kill_children_at_work(self) -> list[int]:
        """SIGKILL every child of a prefork pool but one that reads from the pool's pipe.

        Where the broker has no event loop (the embedded one) that one holds a lock which its death
        would leave taken: Celery's pool would run nothing any more.
        """
        killed = [pid for pid in self.children() if not _reads_a_pipe(pid)]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        return killed


def _reads_a_pipe(pid: int) -> bool:
    """Tell whether the kernel says that a process waits in a `read` of a pipe."""
    return "pipe_read" in Path(f"/proc/{pid}/wchan").read_text()
