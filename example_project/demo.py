"""Three videos from the create to their end, with a real worker: `make demo` runs this.

Exits with 0 if each ended as it should, 1 if not, 2 where `--live` lacks something, 130 on Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from show.processes import catch_signals, was_interrupted

FOLDER = Path(".demo")
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; return the exit status."""
    options = _parse(arguments)
    try:
        catch_signals()
        status = _buy(options) if options.live else _simulate(options)
    except KeyboardInterrupt:
        status = INTERRUPTED
    if status == INTERRUPTED or was_interrupted():
        print("\nStopped; nothing is left running.")
        return INTERRUPTED
    return status


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--live", action="store_true", help="buy one video from the real API")
    parser.add_argument("--yes", action="store_true", help="with --live: do not ask first")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where its files go")
    return parser.parse_args(arguments)


def _simulate(options: argparse.Namespace) -> int:
    """Play three videos against the simulator, in a folder that is made anew."""
    from seedance_celery.simulator import SimulatorApp
    from seedance_celery.simulator.server import SimulatorServer

    folder = options.folder / "simulated"
    shutil.rmtree(folder, ignore_errors=True)
    with SimulatorServer(SimulatorApp()) as simulator:
        _set_up(folder, SIMULATOR_URL=simulator.url)
        from show.play import play_simulated

        return play_simulated(simulator)


def _buy(options: argparse.Namespace) -> int:
    """Buy one video from the real API; its folder stays, so that no file is lost."""
    if not os.environ.get("COMETAPI_KEY"):
        print("--live buys a video from CometAPI: set COMETAPI_KEY to your key first.")
        return 2
    _set_up(options.folder / "live", STUDIO_LIVE="1")
    from show.play import play_live

    return play_live(ask=not options.yes)


def _set_up(folder: Path, **env: str) -> None:
    """Set up Django with a migrated database in `folder`."""
    os.environ.update(env, STUDIO_DATA=str(folder.resolve()))
    os.environ["DJANGO_SETTINGS_MODULE"] = "studio.settings"
    import django

    django.setup()
    from django.core.management import call_command
    from studio import broker, celery_app

    call_command("migrate", verbosity=0)
    broker.declare(celery_app)


if __name__ == "__main__":
    sys.exit(main())
