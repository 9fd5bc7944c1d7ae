"""Settings of the example: SQLite, an embedded broker, and a simulated API.

Environment variables change what differs between the demo, a test and production:

`STUDIO_DATA`        folder of the databases and the files (default: `.data` beside `manage.py`)
`SIMULATOR_URL`      where the simulator listens
`COMETAPI_KEY`       your key, used where `STUDIO_LIVE=1` says that videos are to be bought
`SITE_URL`           where people find the gallery: the mails say so
`CELERY_BROKER_URL`  another broker, such as `redis://127.0.0.1:6379/0`
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from . import broker

PROJECT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("STUDIO_DATA") or PROJECT / ".data").resolve()
DATA.mkdir(parents=True, exist_ok=True)

# seedance_celery. Everything has a default but the key.

IS_LIVE = os.environ.get("STUDIO_LIVE") == "1"

SEEDANCE: dict[str, Any] = {
    "VIEW_PERMISSION": "gallery.permissions.may_view",
    "UPLOAD_TO": "videos/%Y/%m/",
    # Links to videos die within hours: keep the file of each that completes.
    "AUTO_STORE": True,
}
if not IS_LIVE:
    SEEDANCE |= {
        "API_KEY": "simulator",
        "BASE_URL": os.environ.get("SIMULATOR_URL") or "http://127.0.0.1:8765",
        # The real API asks for 10 s or more; only a loopback address may be asked more often.
        "POLL_COUNTDOWN": (0.8, 1.6),
    }

# Celery.

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL") or broker.embedded(DATA / "broker.sqlite3")
if CELERY_BROKER_URL.startswith("sqla+sqlite"):
    CELERY_BROKER_TRANSPORT_OPTIONS = broker.OPTIONS
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True

# Django.

# Only for this machine: a project of your own reads its key from the environment.
SECRET_KEY = "only-for-the-example-project"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
ROOT_URLCONF = "studio.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "seedance_celery",
    "gallery",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "studio.csp.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
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
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "db.sqlite3",
        # What Django's documentation says for several processes that write to one SQLite file.
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }
}
STATIC_URL = "/static/"
MEDIA_URL = "/media/"
MEDIA_ROOT = DATA / "media"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "gallery"
LOGOUT_REDIRECT_URL = "gallery"
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
# A worker has no request that would tell it.
SITE_URL = os.environ.get("SITE_URL") or "http://127.0.0.1:8000"
DEFAULT_FROM_EMAIL = "The studio <studio@example.org>"
