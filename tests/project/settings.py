"""Settings that the harness drives by environment variables; plain ones for in-process tests."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from typing import Any

import pymysql
from kombu import Exchange, Queue

from .addresses import database_settings

# MariaDB without a C compiler: mysqlclient has no wheels.
pymysql.install_as_MySQLdb()
warnings.filterwarnings("error", module=r"seedance_celery")


def _json(name: str, default: Any) -> Any:
    return json.loads(os.environ.get(name) or "null") or default


class _Queue(Queue):
    """A queue that a connection declares once, as it does any queue of a real project.

    The harness lets its queues expire, and kombu declares such a queue with every message. Then
    a queue that a test deletes is there again at once, and RabbitMQ (3.10) moves the consumer of
    a quorum queue to the new one without a word and delivers nothing to it.
    """

    @property
    def can_cache_declaration(self) -> bool:
        return not self.auto_delete


def _queue(options: dict[str, Any]) -> Queue:
    name = options["name"]
    return _Queue(
        name,
        Exchange(name, type=options.get("exchange_type", "direct")),
        routing_key=name,
        queue_arguments=options.get("arguments"),
    )


SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.project.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_celery_results",
    "seedance_celery",
    "tests.project",
    "tests.docs.shop",
    *_json("TEST_INSTALLED_APPS", []),
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": {
        **database_settings(os.environ.get("TEST_DATABASE_URL", "sqlite://")),
        "CONN_MAX_AGE": int(os.environ.get("TEST_CONN_MAX_AGE", "0")),
    }
}
DATABASES["default"]["OPTIONS"] |= _json("TEST_DATABASE_OPTIONS", {})
MEDIA_ROOT = os.environ.get("TEST_MEDIA_ROOT") or tempfile.gettempdir()

SEEDANCE = _json(
    "TEST_SEEDANCE",
    # Port 9 (discard): whatever an in-process test does not point elsewhere is refused.
    {"API_KEY": "sk-not-a-key", "BASE_URL": "http://127.0.0.1:9"},
)

CELERY_BROKER_URL = os.environ.get("TEST_BROKER_URL", "memory://")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if "TEST_RESULT_BACKEND" in os.environ:
    CELERY_RESULT_BACKEND = os.environ["TEST_RESULT_BACKEND"]
if queues := _json("TEST_QUEUES", []):
    CELERY_TASK_QUEUES = [_queue(options) for options in queues]
    CELERY_TASK_DEFAULT_QUEUE = queues[0]["name"]
    CELERY_TASK_DEFAULT_EXCHANGE = queues[0]["name"]
    CELERY_TASK_DEFAULT_EXCHANGE_TYPE = queues[0].get("exchange_type", "direct")
    CELERY_TASK_DEFAULT_ROUTING_KEY = queues[0]["name"]
for name, value in _json("TEST_CELERY", {}).items():
    globals()[f"CELERY_{name.upper()}"] = value
for name, value in _json("TEST_DJANGO", {}).items():
    globals()[name] = value
