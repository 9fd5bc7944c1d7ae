"""A small Django project, as a user would have one, that tests run in processes of their own."""

from .celery import app as celery_app

__all__ = ["celery_app"]
