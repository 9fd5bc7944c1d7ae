"""The project whose workers are measured: nothing but the package, on servers the harness names."""

from __future__ import annotations

import os

import certifi

from tests.project.settings import *  # noqa: F403

INSTALLED_APPS = ["seedance_celery", "benchmarks"]
MIDDLEWARE = []
TEMPLATES = []
ROOT_URLCONF = "benchmarks.settings"
urlpatterns = []

# Every client here trusts certifi's roots and the benchmark's own: loading them costs each client
# what it costs in production. (requests and httpx take theirs
# from the environment.)
if "BENCH_ROOTS" in os.environ:
    certifi.where = lambda: os.environ["BENCH_ROOTS"]
