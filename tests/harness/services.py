"""The servers that tests need, and what happens where one is absent."""

from __future__ import annotations

import dataclasses
import os
import socket
from functools import cache
from urllib.parse import urlsplit

import pytest

CI = os.environ.get("CI", "").lower() == "true"


@dataclasses.dataclass(frozen=True)
class Service:
    """A server: its name, the variable that says where it is, and where it is by default."""

    name: str
    variable: str
    default: str
    port: int

    @property
    def url(self) -> str:
        """Where it is."""
        return os.environ.get(self.variable) or self.default

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or self.port

    def url_through(self, address: tuple[str, int]) -> str:
        """Return the URL with another host and port: a proxy's."""
        parts = urlsplit(self.url)
        user = parts.netloc.rpartition("@")[0]
        host = f"{address[0]}:{address[1]}"
        return parts._replace(netloc=f"{user}@{host}" if user else host).geturl()

    @property
    def listens(self) -> bool:
        """Whether something listens there (asked once)."""
        return _listens(self.address)

    def require(self) -> None:
        """Skip the test by name where nothing listens; under CI=true fail it."""
        if self.listens:
            return
        host, port = self.address
        message = f"needs {self.name} at {host}:{port} (set {self.variable} if it is elsewhere)"
        if CI:
            pytest.fail(message, pytrace=False)
        pytest.skip(message)


@cache
def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=3).close()
    except OSError:
        return False
    return True


REDIS = Service("Redis", "REDIS_URL", "redis://127.0.0.1:6379", 6379)
RABBITMQ = Service("RabbitMQ", "RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//", 5672)
POSTGRES = Service(
    "PostgreSQL", "POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres", 5432
)
MARIADB = Service("MariaDB", "MARIADB_URL", "mysql://root@127.0.0.1:3306", 3306)
