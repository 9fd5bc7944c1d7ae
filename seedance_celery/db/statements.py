"""The two statements of a poll, compiled once for each connection.

The ORM compiles a query at each use. For the two statements of a poll this takes several times as
long as the database needs for them, so their SQL is kept with the connection.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from django.db import DatabaseError
from django.db.models import Model, QuerySet
from django.db.models.sql.compiler import SQLCompiler

from . import locks
from .history import Noted
from .pool import Session
from .row_errors import is_lock

M = TypeVar("M", bound=Model)


class _Lookup:
    """`queryset.get(pk=…)` for one connection, including the annotations of the queryset."""

    def __init__(self, queryset: QuerySet[Any], session: Session) -> None:
        self._model = queryset.model
        self._pk = self._model._meta.pk
        self._connection = session.connection
        some_pk = self._pk.get_default()
        query = queryset.order_by().filter(pk=some_pk).query
        self._compiler: SQLCompiler = query.get_compiler(connection=session.connection)
        self._sql, params = self._compiler.as_sql()
        self._params = list(params)
        self._slot = self._params.index(self._prepared(some_pk))
        self._read_select()

    def _read_select(self) -> None:
        compiler = self._compiler
        fields = (compiler.klass_info or {})["select_fields"]
        self._fields = slice(fields[0], fields[-1] + 1)
        columns: Any = [column for column, *_ in compiler.select]
        self._names = [column.target.attname for column in columns[self._fields]]
        self._annotations = compiler.annotation_col_map or {}
        self._converters = compiler.get_converters(columns)

    def _prepared(self, pk: Any) -> Any:
        return self._pk.get_db_prep_value(self._pk.to_python(pk), self._connection)

    def __call__(self, alias: str, pk: Any) -> Any:
        params = [*self._params]
        params[self._slot] = self._prepared(pk)
        with self._connection.cursor() as cursor:
            cursor.execute(self._sql, params)
            found = cursor.fetchone()
        if found is None:
            return None
        values = list(next(self._compiler.apply_converters([found], self._converters)))
        row = self._model.from_db(alias, self._names, values[self._fields])
        for name, column in self._annotations.items():
            setattr(row, name, values[column])
        return row


def find(
    session: Session, alias: str, model: type[M], make: Callable[[], QuerySet[M]], pk: Any
) -> M | None:
    """Return the row with this pk, or None.

    `make` returns the queryset that is compiled at the first call. There is one for each model.
    """
    lookup = session.compiled.get(model)
    if lookup is None:
        lookup = session.compiled[model] = _Lookup(make(), session)
    found: M | None = lookup(alias, pk)
    return found


class Write(enum.Enum):
    """What became of a guarded update."""

    DONE = "done"
    STALE = "stale"
    """The row is no longer as it was read."""
    LOCKED = "locked"
    """Somebody has locked the row."""


class _Update:
    """`UPDATE` of some columns of a row, for one connection, guarded by values of other columns.

    With `is_brief` it does not wait for a row that somebody has locked.
    """

    def __init__(
        self,
        model: type[Model],
        changes: Mapping[str, Any],
        sizes: Mapping[str, int],
        session: Session,
        *,
        is_brief: bool,
    ) -> None:
        meta: Any = model._meta
        quote = session.connection.ops.quote_name
        self._connection = session.connection
        self._pk = meta.pk
        self._changed = [meta.get_field(name) for name in changes]
        self._guarding = [meta.get_field(name) for name in sizes]
        vendor = session.connection.vendor
        columns = ", ".join(
            f"{(column := quote(field.column))} = "
            + (value.sql(vendor, column) if isinstance(value, Noted) else "%s")
            for field, value in zip(self._changed, changes.values(), strict=True)
        )
        wheres = [f"{quote(meta.pk.column)} = %s"]
        for field, size in zip(self._guarding, sizes.values(), strict=True):
            wheres.append(f"{quote(field.column)} IN ({', '.join(['%s'] * size)})")
        table, where = quote(meta.db_table), " AND ".join(wheres)
        self._find = f"SELECT {quote(meta.pk.column)} FROM {table} WHERE {where}"  # noqa: S608
        self._is_brief = is_brief
        free = locks.only_free(self._connection, self._find) if is_brief else None
        self._skips = free is not None
        if free is not None:
            where = f"{quote(meta.pk.column)} = {free}"
        sql = f"UPDATE {table} SET {columns} WHERE {where}"  # noqa: S608
        must_be_told = is_brief and not self._skips
        self._sql = locks.prefixed(self._connection, sql) if must_be_told else sql

    def __call__(self, pk: Any, values: Iterable[Any], guards: Iterable[Collection[Any]]) -> Write:
        link = self._connection
        params: list[Any] = []
        for field, value in zip(self._changed, values, strict=True):
            is_noted = isinstance(value, Noted)
            params += value.params if is_noted else [field.get_db_prep_save(value, link)]
        found = [self._pk.get_db_prep_value(pk, link)]
        for field, allowed in zip(self._guarding, guards, strict=True):
            found += [field.get_db_prep_value(value, link) for value in allowed]
        with link.cursor() as cursor:
            try:
                cursor.execute(self._sql, [*params, *found])
            except DatabaseError as error:
                if self._is_brief and is_lock(error):
                    return Write.LOCKED
                raise
            if cursor.rowcount:
                return Write.DONE
            if not self._skips:
                return Write.STALE
            cursor.execute(self._find, found)
            return Write.STALE if cursor.fetchone() is None else Write.LOCKED


def is_plain(changes: Mapping[str, Any]) -> bool:
    """Tell whether no value is an SQL expression, apart from an event of the history."""
    return not any(
        hasattr(value, "resolve_expression") and not isinstance(value, Noted)
        for value in changes.values()
    )


def update(
    session: Session,
    row: Model,
    changes: Mapping[str, Any],
    guards: Mapping[str, Collection[Any]],
    *,
    is_brief: bool = False,
) -> Write:
    """Change columns of a row if each guarded one has one of its values in the database.

    `guards` names columns with the values that each may have. With `is_brief`, a row that somebody
    has locked is not waited for.
    """
    model = type(row)
    sizes = {name: len(allowed) for name, allowed in guards.items()}
    kinds = tuple((name, isinstance(value, Noted)) for name, value in changes.items())
    key = (model, kinds, tuple(sizes.items()), is_brief)
    statement = session.compiled.get(key)
    if statement is None:
        statement = _Update(model, changes, sizes, session, is_brief=is_brief)
        session.compiled[key] = statement
    result: Write = statement(row.pk, changes.values(), guards.values())
    return result
