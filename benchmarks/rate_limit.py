"""Many videos on a key that answers 429: requests and recovery, with and without shared state.

`python -m benchmarks rate_limit [--quick] [--videos N] [--outage SECONDS] [--only WHICH]`. Needs
Redis and PostgreSQL. The workers are one prefork worker with 8 processes, the countdowns those of
production. Compared are this package and a task that retries by hand, each video with an
exponential, jittered backoff of its own: well-behaved, but knowing of no other.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from benchmarks import _by_hand
from tests.harness.site import Site

PROCESSES = 8
SLOW = 0.001
"""The simulator's speed: no render ends while it is measured."""
SETTINGS = {"POLL_COUNTDOWN": [10, 20], "REQUEST_TIMEOUT": [5, 30], "RESEND_AFTER": 60}
SETTLE = 25
"""Seconds in which every video is polled at least once before the key answers 429."""
STARTS = {"shared": _by_hand.follow_with_the_package, "alone": _by_hand.follow_by_hand}


def measure(which: str, videos: int, outage: float) -> dict[str, Any]:
    """Let a key answer 429 for so many seconds while so many videos are polled on it."""
    options = {"seedance": SETTINGS, "results_in": "none", "speed": SLOW}
    with Site(broker="redis", database="postgres", **options) as site:
        worker_options = ("--include", "benchmarks._by_hand")
        site.worker(pool="prefork", concurrency=PROCESSES, options=worker_options)
        app = site.simulator.app
        bought: list[str] = site.call(_by_hand.buy, videos, timeout=120)
        site.call(STARTS[which], bought, timeout=120)
        _wait_for(site, set(bought), time.time(), 60)
        time.sleep(SETTLE)
        began = time.time()
        app.fault("rate_limited", seconds=outage)
        time.sleep(outage)
        ended = time.time()
        recovered = _wait_for(site, set(bought), ended, 240)
        return _told(which, videos, app, (began, ended, recovered))


def _wait_for(site: Site, videos: set[str], since: float, limit: float) -> float:
    """Wait until each video was answered since then; return when the last one was."""
    app = site.simulator.app

    def answered() -> set[str]:
        return {r.api_id for r in list(app.requests) if r.status == 200 and r.at >= since}

    site.wait_until(lambda: videos <= answered(), limit, "every video is answered")
    first = {}
    for request in list(app.requests):
        if request.status == 200 and request.at >= since and request.api_id in videos:
            first.setdefault(request.api_id, request.at)
    return max(first.values())


def _told(which: str, videos: int, app: Any, times: tuple[float, float, float]) -> dict[str, Any]:
    began, ended, recovered = times
    polls = [r for r in app.requests if r.route == "retrieve" and r.at >= began]
    refused = [r for r in polls if r.status == 429]
    after = [r for r in polls if ended <= r.at <= recovered]
    busiest = max(sum(1 for r in after if t.at <= r.at < t.at + 1) for t in after)
    return {
        "state": which,
        "videos": videos,
        "processes": PROCESSES,
        "outage_s": round(ended - began, 1),
        "refused": len(refused),
        "requests_in_all": len([r for r in polls if r.at <= recovered]),
        "recovered_s": round(recovered - ended, 1),
        "busiest_second": busiest,
    }


def main(arguments: list[str] | None = None) -> None:
    """Print one line of JSON for each variant."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few videos, a short outage")
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--outage", type=float, default=45, help="seconds of 429")
    parser.add_argument("--only", choices=sorted(STARTS))
    options = parser.parse_args(arguments)
    videos, outage = (20, 15.0) if options.quick else (options.videos, options.outage)
    for which in [options.only] if options.only else STARTS:
        print(json.dumps(measure(which, videos, outage)), flush=True)


if __name__ == "__main__":
    main()
