"""A database server that refuses statements for a while, with the error codes of the real thing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import psycopg
import pymysql

from tests.harness.databases import Database

KINDS = ("deadlock", "serialization", "lost-connection")

TABLES = ("seedance_celery_video", "seedance_celery_kepttask")

POSTGRES = {
    "deadlock": "RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'",
    "serialization": "RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001'",
    "lost-connection": "PERFORM pg_terminate_backend(pg_backend_pid())",
}
MARIADB = {
    "deadlock": "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'Deadlock found'",
    "serialization": "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1205, MESSAGE_TEXT = 'Lock wait'",
    "lost-connection": "KILL CONNECTION_ID()",
}


@contextlib.contextmanager
def caused(database: Database, kind: str) -> Iterator[Callable[[], int]]:
    """Let every third change of a row fail until the block ends; yield how many have."""
    server = {"postgres": _postgres, "mariadb": _mariadb}[database.kind]
    with server(database, kind) as failures:
        yield failures


@contextlib.contextmanager
def _postgres(database: Database, kind: str) -> Iterator[Callable[[], int]]:
    with psycopg.connect(database.url, autocommit=True) as connection:
        # A sequence counts what is rolled back, too.
        connection.execute("CREATE SEQUENCE changes")
        connection.execute(
            f"""
            CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF nextval('changes') % 3 = 0 THEN {POSTGRES[kind]}; END IF;
                RETURN NEW;
            END $$
            """
        )
        for table in TABLES:
            connection.execute(
                f"CREATE TRIGGER trouble BEFORE INSERT OR UPDATE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION trouble()"
            )

        def failures() -> int:
            row = connection.execute("SELECT last_value FROM changes").fetchone()
            return int(row[0]) // 3 if row else 0

        yield failures
        for table in TABLES:
            connection.execute(f"DROP TRIGGER trouble ON {table}")
        connection.execute("DROP FUNCTION trouble")
        connection.execute("DROP SEQUENCE changes")


@contextlib.contextmanager
def _mariadb(database: Database, kind: str) -> Iterator[Callable[[], int]]:
    parts = urlsplit(database.url)
    connection = pymysql.connect(
        host=parts.hostname,
        port=parts.port or 3306,
        user=parts.username or "root",
        password=parts.password or "",
        database=parts.path.strip("/"),
        autocommit=True,
    )
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("CREATE SEQUENCE changes")
        for table in TABLES:
            for event in ("INSERT", "UPDATE"):
                cursor.execute(
                    f"CREATE TRIGGER trouble_{event}_{table} BEFORE {event} ON {table} "
                    f"FOR EACH ROW IF NEXTVAL(changes) % 3 = 0 THEN {MARIADB[kind]}; END IF"
                )

        def failures() -> int:
            cursor.execute("SELECT NEXTVAL(changes)")
            row = cursor.fetchone()
            return int(row[0]) // 3 if row else 0

        yield failures
        for table in TABLES:
            for event in ("INSERT", "UPDATE"):
                cursor.execute(f"DROP TRIGGER trouble_{event}_{table}")
        cursor.execute("DROP SEQUENCE changes")
