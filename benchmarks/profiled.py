"""Run Celery under the profiler, by CPU time: `python -m benchmarks.profiled OUT …`."""

from __future__ import annotations

import cProfile
import sys
import time
from contextlib import suppress

from celery.bin.celery import main

if __name__ == "__main__":
    out, sys.argv[1:] = sys.argv[1], sys.argv[2:]
    profile = cProfile.Profile(time.process_time)
    with suppress(SystemExit):
        profile.runcall(main)
    profile.dump_stats(out)
