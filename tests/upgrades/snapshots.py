"""Rows of the package's tables as JSON: times are seconds from the moment of the snapshot."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import Any

from django.apps.registry import Apps
from django.db import models

APP = "seedance_celery"
RECORDED = "task_recorded_"
"""The API's ids in a snapshot: this and a number."""


def dump(apps: Any, now: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return every row of every table; rows that others point at come first."""
    ordered = sorted(apps.get_app_config(APP).get_models(), key=_points_elsewhere)
    return {model.__name__: [_plain(row, now) for row in model.objects.all()] for model in ordered}


def load(apps: Apps, snapshot: dict[str, list[dict[str, Any]]], now: datetime) -> None:
    """Insert a snapshot's rows into the tables of its time."""
    for name, rows in snapshot.items():
        model = apps.get_model(APP, name)
        known = {field.attname: field for field in model._meta.concrete_fields}
        for row in rows:
            if unknown := set(row) - set(known):
                raise AssertionError(
                    f"{name} has no {', '.join(sorted(unknown))}. A migration that was released "
                    "may not change; before the first release, run python -m tests.upgrades.record."
                )
            model.objects.create(
                **{name: _python(known[name], value, now) for name, value in row.items()}
            )


def _points_elsewhere(model: type[models.Model]) -> int:
    return sum(field.is_relation for field in model._meta.concrete_fields)


def _plain(row: models.Model, now: datetime) -> dict[str, Any]:
    values = {f.attname: getattr(row, f.attname) for f in row._meta.concrete_fields}
    return {name: _json(value, now) for name, value in values.items()}


def _json(value: Any, now: datetime) -> Any:
    if isinstance(value, datetime):
        return {"seconds": round((value - now).total_seconds())}
    if isinstance(value, date):
        return {"days": (value - now.date()).days}
    try:
        json.dumps(value)
    except TypeError:
        return str(value)
    return value


def _python(field: models.Field[Any, Any], value: Any, now: datetime) -> Any:
    if isinstance(field, models.DateTimeField) and value is not None:
        return now + timedelta(seconds=value["seconds"])
    if isinstance(field, models.DateField) and value is not None:
        return now.date() + timedelta(days=value["days"])
    return value
