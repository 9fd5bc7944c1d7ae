"""A broker per site: queue names and keys of its own on a server that others use too."""

from __future__ import annotations

import atexit
import dataclasses
import sqlite3
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any

import amqp
import redis
from kombu import Connection
from kombu.exceptions import ChannelError, KombuError

from . import names
from .services import RABBITMQ, REDIS, Service

KINDS = ("redis", "rabbitmq", "rabbitmq-quorum", "sqla")
RABBIT_QUEUE_TYPES = {"rabbitmq": "classic", "rabbitmq-quorum": "quorum"}
EXPIRES = 6 * 3600 * 1000
"""Milliseconds after which RabbitMQ drops a queue that a killed run forgot."""


@dataclasses.dataclass
class Broker:
    """A broker's URL and what a Celery app needs to use it without meeting other runs."""

    kind: str
    url: str
    name: str
    queues: list[dict[str, Any]]
    """For `TEST_QUEUES`; the first is the default queue."""
    celery: dict[str, Any]
    """For `TEST_CELERY`."""
    service: Service | None = None
    shortest_countdown: float = 0.05
    """In seconds. Celery's native delayed delivery raises ValueError for less than a second."""

    @property
    def queue(self) -> str:
        """The default queue's name."""
        return str(self.queues[0]["name"])

    def through(self, address: tuple[str, int]) -> str:
        """Return its URL through a proxy."""
        assert self.service is not None, "an embedded broker has no address"
        return self.service.url_through(address)

    def connect(self) -> Connection:
        """Open a connection with the options that the app uses."""
        options = self.celery.get("broker_transport_options", {})
        return Connection(self.url, transport_options=options, connect_timeout=5)

    def depth(self, queue: str = "") -> int:
        """Return how many messages wait in a queue; 0 where there is no such queue."""
        if self.kind == "redis":
            # Not by kombu: its passive declare looks for the queue without the key prefix.
            with redis.Redis.from_url(self.url) as client:
                return int(client.llen(f"{self.name}:{queue or self.queue}"))
        with self.connect() as connection:
            return waiting(connection, queue or self.queue) or 0

    def wipe(self) -> None:
        """Lose every message and everything else that it keeps for the site, workers connected.

        Redis: as FLUSHALL does. RabbitMQ: the queues are deleted. Embedded: the queues are empty.
        """
        if self.kind == "redis":
            forget_keys(f"{self.name}:")
            return
        for queue in self.queues:
            self._drop(queue["name"])

    def take_all(self) -> list[Any]:
        """Take the messages that wait in the default queue, to be given back any number of times.

        Before a worker runs: what it holds is not in the queue.
        """
        taken = []
        with self.connect() as connection:
            channel: Any = connection.channel()
            while (message := self._take(channel)) is not None:
                taken.append(message)
        return taken

    def _take(self, channel: Any) -> Any:
        if self.kind in RABBIT_QUEUE_TYPES:
            return channel.basic_get(self.queue, no_ack=True)
        try:
            return channel._get(self.queue)
        except Empty:
            return None

    def give_back(self, messages: list[Any]) -> None:
        """Put copies of messages into the default queue, as a broker that delivers again does."""
        with self.connect() as connection:
            channel: Any = connection.channel()
            for message in messages:
                if self.kind in RABBIT_QUEUE_TYPES:
                    copy = amqp.Message(message.body, **message.properties)
                    channel.basic_publish(copy, exchange="", routing_key=self.queue)
                else:
                    channel._put(self.queue, message)

    def close(self) -> None:
        """Leave nothing on the server. Harmless to repeat."""
        if self.service is None:
            return
        with suppress(OSError, KombuError, redis.RedisError, amqp.AMQPError):
            self.wipe()
            if self.kind in RABBIT_QUEUE_TYPES:
                self._drop_exchanges()

    def _drop(self, queue: str) -> None:
        with self.connect() as connection:
            channel: Any = connection.channel()
            if self.kind == "sqla":
                channel.queue_purge(queue)
            else:
                channel.queue_delete(queue)

    def _drop_exchanges(self) -> None:
        pidbox = f"{self.name}.pidbox"
        exchanges = [queue["name"] for queue in self.queues]
        with self.connect() as connection:
            channel: Any = connection.channel()
            for exchange in [*exchanges, pidbox, f"reply.{pidbox}", f"{self.name}.events"]:
                channel.exchange_delete(exchange)


def waiting(connection: Connection, queue: str) -> int | None:
    """Return how many messages wait in a queue, or None where there is no such queue."""
    channel: Any = connection.channel()
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except (ChannelError, amqp.exceptions.NotFound):
        return None


def create(kind: str, folder: Path, queues: tuple[str, ...] = ()) -> Broker:
    """Make a broker of a kind; skip the test where its server is absent.

    `queues` are more queues than the default one; each gets a name of its own: the default's
    and a dot before it.
    """
    name = names.unique()
    kinds = {"redis": _redis, "sqla": _sqla}
    broker = kinds[kind](name, folder) if kind in kinds else _rabbitmq(kind, name)
    pattern = broker.queues[0]
    broker.queues += [{**pattern, "name": f"{name}.{queue}"} for queue in queues]
    broker.celery |= {"control_exchange": name, "event_exchange": f"{name}.events"}
    atexit.register(broker.close)
    return broker


def _redis(name: str, folder: Path) -> Broker:
    REDIS.require()
    # kombu's 10 are too few for as many greenlets as tests run.
    options = {"global_keyprefix": f"{name}:", "max_connections": 100}
    return Broker(
        "redis", REDIS.url, name, [{"name": name}], {"broker_transport_options": options}, REDIS
    )


def _sqla(name: str, folder: Path) -> Broker:
    path = folder / "broker.sqlite3"
    # As the example project does. A child forked while its worker reads the file would otherwise
    # inherit a reader that never ends, and keep all others from writing.
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
    return Broker("sqla", f"sqla+sqlite:///{path}", name, [{"name": name}], {})


def _rabbitmq(kind: str, name: str) -> Broker:
    RABBITMQ.require()
    queue_type = RABBIT_QUEUE_TYPES[kind]
    queue: dict[str, Any] = {
        "name": name,
        "arguments": {"x-queue-type": queue_type, "x-expires": EXPIRES},
    }
    if queue_type == "classic":
        return Broker(kind, RABBITMQ.url, name, [queue], {}, RABBITMQ)
    # What Celery documents for quorum queues: a topic exchange for native delayed delivery.
    queue["exchange_type"] = "topic"
    celery = {"worker_detect_quorum_queues": True, "task_default_queue_type": "quorum"}
    return Broker(kind, RABBITMQ.url, name, [queue], celery, RABBITMQ, shortest_countdown=1.0)


def forget_keys(prefix: str) -> None:
    """Remove every Redis key that starts so."""
    with redis.Redis.from_url(REDIS.url) as client:
        for keys in iter(partial(_some_keys, client, prefix), []):
            client.unlink(*keys)


def _some_keys(client: redis.Redis, prefix: str) -> list[bytes]:
    found = client.scan_iter(match=f"{prefix}*", count=1000)
    return [key for key, _ in zip(found, range(500), strict=False)]


def keys(prefix: str) -> int:
    """Return how many Redis keys start so."""
    with redis.Redis.from_url(REDIS.url) as client:
        return len(list(client.scan_iter(match=f"{prefix}*", count=1000)))


def forget_stale_keys() -> None:
    """Remove the keys of runs that were killed."""
    with redis.Redis.from_url(REDIS.url) as client:
        found = {bytes(key).decode() for key in client.scan_iter(match=f"{names.PREFIX}*")}
    for prefix in {key.partition(":")[0] for key in found}:
        if names.is_stale(prefix):
            forget_keys(f"{prefix}:")
