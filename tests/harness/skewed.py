"""Run Celery with a wrong clock: `python -m tests.harness.skewed SECONDS worker …`.

The clock of the process and its children is so many seconds ahead (or behind, when negative) and
goes on at its usual pace.
"""

from __future__ import annotations

import datetime
import sys

import time_machine
from celery.__main__ import main

if __name__ == "__main__":
    offset = datetime.timedelta(seconds=float(sys.argv.pop(1)))
    now = datetime.datetime.now(datetime.timezone.utc)
    time_machine.travel(now + offset, tick=True).start()
    main()
