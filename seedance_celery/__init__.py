"""Follow CometAPI's Seedance videos with Celery and Django."""

__version__ = "0.1.0"
