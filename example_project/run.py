"""The gallery on this machine: web server, worker and simulator. `make run` runs this.

One Ctrl-C stops them all. With `--live` and COMETAPI_KEY set, films are bought from the real API.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from collections.abc import Sequence

from show.processes import PROJECT, WORKER, Processes, catch_signals

LOGIN = "demo"
PATIENCE = 30
"""Seconds after which the address is told though something is not ready, such as a broker."""
SIMULATOR_SPEED = 0.4
"""Slow enough to watch the bar move: a film takes 15 seconds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gallery until Ctrl-C; return the exit status."""
    options = _parse(arguments)
    if options.live and not os.environ.get("COMETAPI_KEY"):
        print("--live buys videos from CometAPI: set COMETAPI_KEY to your key first.")
        return 2
    if taken := [p for p in (options.port, options.simulator_port) if _is_taken(p)]:
        print(f"Port {taken[0]} is in use. Choose others with --port and --simulator-port.")
        return 2
    try:
        catch_signals()
        return _run(options)
    except KeyboardInterrupt:
        print("Stopped; nothing is left running.")
        return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--port", type=int, default=8000, help="of the web server")
    parser.add_argument("--simulator-port", type=int, default=8765, help="of the simulated API")
    parser.add_argument("--live", action="store_true", help="buy from the real API: costs money")
    return parser.parse_args(arguments)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _run(options: argparse.Namespace) -> int:
    env = _environment(options)
    os.environ.update(env)
    _prepare()
    with Processes(env) as processes:
        if not options.live:
            simulator = _manage("seedance_simulator", *_simulator(options))
            processes.start("simulator", simulator, ready="Simulating")
        processes.start("worker", WORKER, ready=" ready.")
        address = f"127.0.0.1:{options.port}"
        processes.start("web", _manage("runserver", "--noreload", address), ready="Quit the server")
        is_told = False
        tell_at = time.monotonic() + PATIENCE
        while (ended := processes.ended()) is None:
            # Last, or it would scroll away under what the processes say as they start.
            if not is_told and (processes.are_ready() or time.monotonic() > tell_at):
                is_told = True
                _tell(address, is_live=options.live)
            time.sleep(0.2)
    print(f"The {ended} process has ended, so the others were stopped.")
    return 1


def _tell(address: str, *, is_live: bool) -> None:
    print(f"\nThe gallery: http://{address}/   Sign in as {LOGIN} with the password {LOGIN}.")
    bought = "Films are bought: they cost money." if is_live else "Nothing is bought."
    print(f"{bought} Ctrl-C stops it all.\n", flush=True)


def _environment(options: argparse.Namespace) -> dict[str, str]:
    site = os.environ.get("SITE_URL") or f"http://127.0.0.1:{options.port}"
    env = {"DJANGO_SETTINGS_MODULE": "studio.settings", "SITE_URL": site}
    if options.live:
        # Simulated films and bought ones do not share a database.
        live = PROJECT / ".data" / "live"
        return {**env, "STUDIO_LIVE": "1", "STUDIO_DATA": os.environ.get("STUDIO_DATA", str(live))}
    return {**env, "SIMULATOR_URL": f"http://127.0.0.1:{options.simulator_port}"}


def _simulator(options: argparse.Namespace) -> tuple[str, ...]:
    # Quiet, as the settings are made for it already.
    speed = ("--speed", str(SIMULATOR_SPEED))
    return ("--port", str(options.simulator_port), *speed, "--verbosity", "0")


def _manage(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "manage.py", *arguments)


def _prepare() -> None:
    """Migrate, and make the demo's user."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from studio import broker, celery_app

    call_command("migrate", verbosity=0)
    broker.declare(celery_app)
    if not User.objects.filter(username=LOGIN).exists():
        User.objects.create_superuser(LOGIN, f"{LOGIN}@example.org", LOGIN)


if __name__ == "__main__":
    sys.exit(main())
