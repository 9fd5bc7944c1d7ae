"""Columns that compare byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["OpaqueField"]


if TYPE_CHECKING:
    _CharField = models.CharField[Any, Any]
else:
    _CharField = models.CharField


class OpaqueField(_CharField):
    """Text given by others as an id. MySQL's default collation would take `a` for `A`."""

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        """Name the collation where the database's default ignores case."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters
