"""Looking at everything that a video's way needs, each part bounded in time.

`diagnose()` yields a `Finding` for each part; `manage.py seedance_doctor` shows them.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import api, broker, project, rows
from .findings import Finding, Probe, State, run

__all__ = ["Finding", "State", "diagnose"]

TABLES = ("database", "migrations")
PROBES = (
    Probe("settings", project.look_at_settings, 10),
    Probe("key", project.look_at_keys, 10),
    Probe("database", project.look_at_database, 10),
    Probe("migrations", project.look_at_migrations, 15, needs=("database",)),
    Probe("clock", project.look_at_clock, 10, needs=TABLES),
    Probe("storage", project.look_at_storage, 20),
    Probe("broker", broker.look_at_broker, 10),
    Probe("worker", broker.look_at_workers, 15),
    Probe("sweep", rows.look_at_sweep, 10, needs=TABLES),
    Probe("accounts", rows.look_at_accounts, 10, needs=TABLES),
    Probe("videos", rows.look_at_videos, 10, needs=TABLES),
    Probe("api", api.look_at_api, 20),
)
LIVE = Probe("live", api.look_at_live_keys, 60)


def diagnose(*, live: bool = False) -> Iterator[Finding]:
    """Look at each part in turn. `live` also makes one free request on each account's key."""
    failed: set[str] = set()
    for probe in (*PROBES, LIVE) if live else PROBES:
        missing = [part for part in probe.needs if part in failed]
        if missing:
            yield Finding(probe.part, State.SKIPPED, f"see the line of the {missing[0]}")
            continue
        findings = run(probe)
        if any(finding.state is State.FAILED for finding in findings):
            failed.add(probe.part)
        yield from findings
