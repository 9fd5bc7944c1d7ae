"""`python -m seedance_celery.simulator`, and what `manage.py seedance_simulator` shares with it."""

from __future__ import annotations

import argparse
import errno
import queue
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from .app import SimulatorApp
from .server import SimulatorServer

__all__ = ["add_arguments", "main", "serve"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of both commands."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8765, help="port; 0 takes a free one")
    parser.add_argument("--speed", type=_positive, default=1.0, help="2 renders twice as fast")
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        metavar="NAME[*TIMES][=VALUE]",
        help="play this for everything; may be given several times",
    )


def serve(
    write: Callable[[str], object], *, host: str, port: int, speed: float, scenario: Sequence[str]
) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Raises `ValueError` for an unknown scenario and `OSError` for a port that is taken.
    """
    app = SimulatorApp(speed=speed)
    for spec in scenario:
        app.fault(spec)
    # Not an Event: a handler may run while wait() holds its lock, and set() would wait for ever.
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()

    def stop(number: int, frame: FrameType | None) -> None:
        signals.put(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with _started(app, host, port) as server:
        write(_greeting(server.url))
        # With a limit, or the wait cannot be interrupted on Windows.
        while not _has_come(signals, 1):
            pass


@contextmanager
def _started(app: SimulatorApp, host: str, port: int) -> Iterator[SimulatorServer]:
    server = SimulatorServer(app, host=host, port=port)
    try:
        server.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise OSError(f"Port {port} is in use. Choose another with --port.") from error
    try:
        yield server
    finally:
        server.stop()


def _has_come(signals: queue.SimpleQueue[int], seconds: float) -> bool:
    try:
        signals.get(timeout=seconds)
    except queue.Empty:
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator from a shell, without Django; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m seedance_celery.simulator",
        description="Play CometAPI's Seedance routes; nothing is bought.",
    )
    add_arguments(parser)
    try:
        serve(_say, **vars(parser.parse_args(arguments)))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _positive(text: str) -> float:
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def _greeting(url: str) -> str:
    return (
        f"Simulating CometAPI at {url} (Ctrl-C stops it)\n"
        f'Set SEEDANCE = {{"API_KEY": "simulator", "BASE_URL": "{url}"}}\n'
        f"Scenarios: {url}/_simulator/scenarios"
    )
