"""A database's URL as Django's settings."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

ENGINES = {"sqlite": "sqlite3", "postgresql": "postgresql", "mysql": "mysql"}


def database_settings(url: str) -> dict[str, Any]:
    """Return an entry of `DATABASES` for `sqlite:////path`, `postgresql://…` or `mysql://…`.

    `sqlite://` is a database in memory.
    """
    parts = urlsplit(url)
    scheme = {"postgres": "postgresql", "mariadb": "mysql"}.get(parts.scheme, parts.scheme)
    found: dict[str, Any] = {"ENGINE": f"django.db.backends.{ENGINES[scheme]}"}
    if scheme == "sqlite":
        return {**found, "NAME": parts.path[1:] or ":memory:", "OPTIONS": _sqlite_options()}
    options: dict[str, Any] = {"connect_timeout": 3}
    if scheme == "mysql":
        options["charset"] = "utf8mb4"
    return {
        **found,
        "NAME": parts.path.strip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "127.0.0.1",
        "PORT": parts.port or "",
        "OPTIONS": options,
    }


def _sqlite_options() -> dict[str, Any]:
    # As Django's documentation advises where several processes write.
    return {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
