"""A database per site: created for it, migrated, dropped after it."""

from __future__ import annotations

import atexit
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache, partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pymysql

from . import names
from .processes import ROOT
from .services import MARIADB, POSTGRES, Service

KINDS = ("sqlite", "postgres", "mariadb")


@dataclasses.dataclass
class Database:
    """A migrated database of a kind, at a URL for `TEST_DATABASE_URL`."""

    kind: str
    url: str
    drop: Callable[[], None]
    service: Service | None = None

    def through(self, address: tuple[str, int]) -> str:
        """Return its URL through a proxy."""
        assert self.service is not None, "SQLite has no address"
        return _join(self.service.url_through(address), urlsplit(self.url).path.strip("/"))


def create(kind: str) -> Database:
    """Create and migrate a database; skip the test where its server is absent."""
    return {"sqlite": _sqlite, "postgres": _postgres, "mariadb": _mariadb}[kind]()


def exists(database: Database) -> bool:
    """Tell whether it is (still) there."""
    path = urlsplit(database.url).path
    if database.kind == "sqlite":
        return Path(path[1:]).exists()
    known = _postgres_names() if database.kind == "postgres" else _mariadb_names()
    return path.strip("/") in known


def migrate(url: str) -> None:
    """Run the project's migrations, in a process of its own: ours has other settings."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.project.settings",
        "TEST_DATABASE_URL": url,
    }
    command = [sys.executable, "-m", "django", "migrate", "--verbosity", "0"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the migrations failed:\n{done.stdout}{done.stderr}")


# SQLite: a file that is migrated once and copied.


@cache
def _sqlite_template(owner: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=names.PREFIX))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "template.sqlite3"
    migrate(f"sqlite:///{path}")
    return path


def _sqlite() -> Database:
    folder = Path(tempfile.mkdtemp(prefix=names.PREFIX))
    path = folder / "db.sqlite3"
    shutil.copyfile(_sqlite_template(os.getpid()), path)
    return Database("sqlite", f"sqlite:///{path}", lambda: shutil.rmtree(folder, True))


# PostgreSQL: a template that is migrated once.


def _postgres_do(*statements: str) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    with psycopg.connect(POSTGRES.url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
    return rows


def _postgres_names() -> list[str]:
    return [row[0] for row in _postgres_do("SELECT datname FROM pg_database")]


def _postgres_drop(name: str) -> None:
    _postgres_do(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@cache
def _postgres_template(owner: int) -> str:
    for name in filter(names.is_stale, _postgres_names()):
        _postgres_drop(name)
    template = names.unique()
    _postgres_do(f'CREATE DATABASE "{template}"')
    atexit.register(_postgres_drop, template)
    migrate(_join(POSTGRES.url, template))
    return template


def _postgres() -> Database:
    POSTGRES.require()
    name = names.unique()
    _postgres_do(f'CREATE DATABASE "{name}" TEMPLATE "{_postgres_template(os.getpid())}"')
    return _kept("postgres", name, POSTGRES, _postgres_drop)


# MariaDB: no templates, so the tables of one that is migrated once are made again.


def _mariadb_do(*statements: str, database: str | None = None) -> list[tuple[str, ...]]:
    parts = urlsplit(MARIADB.url)
    host, port = MARIADB.address
    connection = pymysql.connect(
        host=host,
        port=port,
        user=parts.username or "root",
        password=parts.password or "",
        database=database,
        autocommit=True,
    )
    with closing(connection), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def _mariadb_names() -> list[str]:
    return [row[0] for row in _mariadb_do("SHOW DATABASES")]


def _mariadb_drop(name: str) -> None:
    sessions = _mariadb_do(f"SELECT id FROM information_schema.processlist WHERE db = '{name}'")
    # An open transaction would hold the DROP up.
    for (session,) in sessions:
        _mariadb_kill(session)
    _mariadb_do(f"DROP DATABASE IF EXISTS `{name}`")


def _mariadb_kill(session: str) -> None:
    with suppress(pymysql.MySQLError):  # it may have ended by itself
        _mariadb_do(f"KILL {session}")


@cache
def _mariadb_template(owner: int) -> tuple[str, ...]:
    for name in filter(names.is_stale, _mariadb_names()):
        _mariadb_drop(name)
    template = names.unique()
    _mariadb_do(f"CREATE DATABASE `{template}` CHARACTER SET utf8mb4")
    atexit.register(_mariadb_drop, template)
    migrate(_join(MARIADB.url, template))
    return tuple(_mariadb_copy(template))


def _mariadb_copy(template: str) -> list[str]:
    tables = [row[0] for row in _mariadb_do("SHOW TABLES", database=template)]
    statements = ["SET FOREIGN_KEY_CHECKS = 0"]
    statements += [
        _mariadb_do(f"SHOW CREATE TABLE `{table}`", database=template)[0][1] for table in tables
    ]
    return statements + [
        f"INSERT INTO `{table}` SELECT * FROM `{template}`.`{table}`" for table in tables
    ]


def _mariadb() -> Database:
    MARIADB.require()
    name = names.unique()
    _mariadb_do(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    _mariadb_do(*_mariadb_template(os.getpid()), database=name)
    return _kept("mariadb", name, MARIADB, _mariadb_drop)


def _kept(kind: str, name: str, service: Service, drop: Callable[[str], None]) -> Database:
    # Dropping twice is harmless: by the site, and again where the site never came to it.
    drop_now = partial(drop, name)
    atexit.register(drop_now)
    return Database(kind, _join(service.url, name), drop_now, service)


def _join(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()
