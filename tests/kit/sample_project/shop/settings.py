"""A shop that sells films. Its broker and result backend are not there when its tests run."""

from pathlib import Path
from tempfile import gettempdir

SECRET_KEY = "only-for-tests"
USE_TZ = True
ROOT_URLCONF = "shop.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "seedance_celery",
    "films",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT = Path(gettempdir()) / "shop-media"
# Nothing listens on port 9: whatever a test sends past the kit fails.
CELERY_BROKER_URL = "redis://127.0.0.1:9/0"
CELERY_RESULT_BACKEND = "redis://127.0.0.1:9/1"
CELERY_TASK_ROUTES = {"films.tasks.*": {"queue": "films"}}
SEEDANCE = {
    "ACCOUNTS": {
        "default": {"API_KEY": "sk-live-default"},
        "trailers": {"API_KEY": "sk-live-trailers", "BASE_URL": "https://eu.example"},
    },
    "QUEUE": "videos",
}
