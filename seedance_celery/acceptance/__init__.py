"""One acceptance of the real API, for a person with a key: it buys one short video.

Everything that the API answers is kept, redacted, in the form of the tables that the parser and
the simulator are tested by. `python -m seedance_celery.acceptance` runs it, and so does
`manage.py seedance_doctor --buy`.
"""

from __future__ import annotations

from .cli import KEEP, TOKEN_VARIABLE, Exit, accept
from .plan import Access, Plan

__all__ = ["KEEP", "TOKEN_VARIABLE", "Access", "Exit", "Plan", "accept"]
