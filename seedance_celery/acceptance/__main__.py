"""Run the acceptance without a Django project; the key is in COMETAPI_KEY."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
