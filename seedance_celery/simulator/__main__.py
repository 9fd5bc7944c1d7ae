"""Run the simulator: `python -m seedance_celery.simulator --port 0`."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
