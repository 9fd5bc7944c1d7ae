"""Peak memory and throughput of keeping a file, beside the usual way and the least possible.

    python -m benchmarks store_file [--quick] [--sizes 10 200 2000] [--directory DIR]

Sizes are in MB. `DIR` (default: the system's temporary directory) needs twice the largest size.
Each way runs once, in a process of its own, against a server in another process. The files are
sparse and made on the spot. Memory is the growth of the process's peak over what it held before.

* store: `storing.store(Download(…))` into a `FileSystemStorage`, checked, hashed and synced
* content: `requests.get(…).content` and `ContentFile`, saved into the same storage
* raw: `shutil.copyfileobj` from the socket into a file, nothing checked or synced: the limit
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

MB = 1_000_000
LIMIT_MB = 64
"""What `store` may take above idle, whatever the size."""


def make_file(path: Path, size: int) -> None:
    """Make a sparse file that looks like an MP4 from outside."""
    start = (24).to_bytes(4, "big") + b"ftypisom" + bytes(4) + b"isommp42"
    with path.open("wb") as file:
        file.write(start + b"\0\0\0\1mdat" + (size - len(start)).to_bytes(8, "big"))
        file.truncate(size)


def serve(path: str) -> None:
    """Serve one file to whoever asks, until the process is ended; print the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        peer, _ = listener.accept()
        with peer, Path(path).open("rb") as file:
            while peer.recv(65536)[-4:] != b"\r\n\r\n":
                pass
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {Path(path).stat().st_size}\r\n"
            peer.sendall(f"{head}Content-Type: video/mp4\r\n\r\n".encode())
            peer.sendfile(file)


def prepare_store(url: str, directory: str) -> Callable[[], None]:
    """Return the way of this package."""
    from django.conf import settings
    from django.core.files.storage import FileSystemStorage

    from seedance_celery.net.download import Download
    from seedance_celery.storing.saving import store

    settings.configure()
    storage = FileSystemStorage(location=directory)
    return lambda: print(store(Download(url, allow_loopback=True), storage, "a.mp4").size)


def prepare_content(url: str, directory: str) -> Callable[[], None]:
    """Return the way that most projects begin with."""
    import requests
    from django.conf import settings
    from django.core.files.base import ContentFile
    from django.core.files.storage import FileSystemStorage

    settings.configure()
    storage = FileSystemStorage(location=directory)
    return lambda: print(storage.save("a.mp4", ContentFile(requests.get(url, timeout=60).content)))


def prepare_raw(url: str, directory: str) -> Callable[[], None]:
    """Return the least that has to be done."""
    host, port = urlsplit(url).hostname, urlsplit(url).port

    def run() -> None:
        with socket.create_connection((host, port)) as sock, sock.makefile("rb") as stream:
            sock.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
            while stream.readline() != b"\r\n":
                pass
            with Path(directory, "a.mp4").open("wb") as file:
                shutil.copyfileobj(stream, file)

    return run


WAYS = {"store": prepare_store, "content": prepare_content, "raw": prepare_raw}


def run_way(way: str, url: str, directory: str) -> None:
    """Run one way in this process and write what it took to stderr, as JSON."""
    run = WAYS[way](url, directory)
    idle, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    run()
    seconds, end = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = end.ru_utime + end.ru_stime - idle.ru_utime - idle.ru_stime
    unit = 1 if sys.platform == "darwin" else 1024
    memory = (end.ru_maxrss - idle.ru_maxrss) * unit
    json.dump({"seconds": seconds, "cpu": cpu, "memory": memory}, sys.stderr)


def measure(way: str, url: str, size: int, directory: str) -> dict[str, float] | None:
    """Run one way in a process of its own; None where it ran out of memory or was killed."""
    with tempfile.TemporaryDirectory(dir=directory) as target:
        command = [sys.executable, "-m", "benchmarks.store_file", "--way", way, url, target]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        kept = Path(target, "a.mp4")
        if done.returncode or not kept.exists() or kept.stat().st_size != size:
            return None
    return dict(json.loads(done.stderr))


def compare(size: int, directory: str) -> bool:
    """Measure each way with one size and print a row for each; tell if `store` kept its limit."""
    source = Path(directory, "source.mp4")
    make_file(source, size)
    command = [sys.executable, "-m", "benchmarks.store_file", "--serve", str(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/"
            taken = {way: measure(way, url, size, directory) for way in WAYS}
        finally:
            server.kill()
    limit = taken["raw"]
    for way, figures in taken.items():
        print(row(way, size, figures, limit))
    kept = taken["store"]
    return kept is not None and kept["memory"] < LIMIT_MB * MB


def row(
    way: str, size: int, figures: dict[str, float] | None, limit: dict[str, float] | None
) -> str:
    """Return a line of the table."""
    if figures is None or limit is None:
        return f"{size // MB:>6} {way:<8}  did not finish"
    memory, seconds, cpu = figures["memory"] / MB, figures["seconds"], figures["cpu"]
    return (
        f"{size // MB:>6} {way:<8} {memory:>9.1f} {size / MB / seconds:>8.0f} {cpu:>8.2f}"
        f" {seconds / limit['seconds']:>9.2f} {cpu / limit['cpu']:>8.2f}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[10, 200, 2000])
    parser.add_argument("--directory", default=tempfile.gettempdir())
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--way", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="10 MB only")
    options = parser.parse_args(arguments)
    if options.quick:
        options.sizes = [10]
    if options.serve:
        serve(options.serve)
    if options.way:
        run_way(*options.way)
        return 0
    print(
        f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs; the last two: times that of raw"
    )
    print("    MB way       peak, MB     MB/s   CPU, s      time      CPU")
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        within = [compare(size * MB, directory) for size in options.sizes]
    if not all(within):
        print(f"store took {LIMIT_MB} MB or more above idle, or did not finish")
    return 0 if all(within) else 1


if __name__ == "__main__":
    sys.exit(main())
