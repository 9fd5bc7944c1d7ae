"""The one reader of `settings.SEEDANCE`.

`get_settings()` returns a frozen `Settings`; `problems()` lists what is wrong with the dict, for
the system checks. Nothing else in the package reads Django's settings.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

from ..api import catalog
from ..api.arguments import checked_account
from ..api.base_url import DEFAULT_BASE_URL, KEY_VARIABLE, checked_base_url, is_loopback
from ..exceptions import SeedanceError
from . import readers

__all__ = [
    "Account",
    "Problem",
    "Settings",
    "UnknownAccount",
    "get_settings",
    "problems",
]

MIN_INTERVAL = 10.0
BATCH_RUN = 10.0
"""Seconds for which one batch poller claims rows; then it waits for the last answers. A worker that
stops waits for it."""
KEY_EXAMPLE = 'os.environ["MY_COMETAPI_KEY"]'
ACCOUNTS_EXAMPLE = f'{{"eu": {{"API_KEY": {KEY_EXAMPLE}}}}}'


def _setting(
    read: Callable[[Any], Any], default: Any, *, optional: bool = False, example: str = ""
) -> Any:
    metadata = {"read": read, "optional": optional, "example": example or repr(default)}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Account:
    """One key at the API: who pays. `api_key` may be a callable, asked at each use."""

    name: str
    api_key: str | Callable[[], str] | None = dataclasses.field(default=None, repr=False)
    base_url: str = DEFAULT_BASE_URL
    max_in_flight: int | None = None
    max_creates: int | None = None

    def key(self) -> str:
        """Return the key as it is now; "" where none is configured, or a callable returns none."""
        if callable(self.api_key):
            key: object = self.api_key()
            return key if isinstance(key, str) else ""
        if self.api_key is None and self.name == "default":
            return os.environ.get(KEY_VARIABLE, "")
        return self.api_key or ""

    @property
    def is_local(self) -> bool:
        """Whether the account is asked on this machine: the simulator."""
        return is_loopback(self.base_url)


@dataclasses.dataclass(frozen=True)
class Settings:
    """`settings.SEEDANCE`, read. Each field is a key of the dict in lower case."""

    api_key: str | Callable[[], str] | None = dataclasses.field(
        default=None,
        repr=False,
        metadata={"read": readers.key, "optional": True, "example": KEY_EXAMPLE},
    )
    """The API key: a string, a callable or a dotted path to either. Default: $COMETAPI_KEY."""
    base_url: str = _setting(checked_base_url, DEFAULT_BASE_URL)
    """Where the API is; `/v1/…` is added by the client."""
    accounts: Mapping[str, Account] = dataclasses.field(
        default_factory=dict,
        metadata={"read": readers.accounts, "optional": False, "example": ACCOUNTS_EXAMPLE},
    )
    """Several keys: name to a dict of `API_KEY`, `BASE_URL`, `MAX_IN_FLIGHT`, `MAX_CREATES`."""
    poll_countdown: tuple[float, float] = _setting(readers.countdown, (10.0, 20.0))
    """Shortest and longest countdown between two polls of a video, in seconds."""
    poller: str = _setting(readers.one_of("loop", "batch"), "loop")
    """How the API is asked: `loop`, a message a video, or `batch`, many videos in one task."""
    batch_tasks: int = _setting(readers.whole(1), 1)
    """How many tasks of an account ask at once, in all workers, where `POLLER` is `batch`."""
    batch_connections: int = _setting(readers.whole(1), 32)
    """How many videos such a task asks for at once."""
    timeout: float = _setting(readers.seconds(1), 3600.0)
    """How long a video may take, in seconds from the create's reply."""
    request_timeout: tuple[float, float] = _setting(readers.pair(0.1), (5.0, 30.0))
    """Seconds to connect and to wait for the next byte; a poll as a whole ends at their sum."""
    create_timeout: float = _setting(readers.seconds(1), 120.0)
    """Seconds for the whole POST of a create, uploads included."""
    queue: str | None = _setting(readers.name, None, optional=True, example="'seedance'")
    """The queue of this package's tasks. Default: the project's routing."""
    store_queue: str | None = _setting(readers.name, None, optional=True, example="'seedance'")
    """The queue of `store_video`. Default: `QUEUE`."""
    storage: str = _setting(readers.name, "default")
    """Alias in `STORAGES` where files are kept."""
    upload_to: str | Callable[..., str] = _setting(  # noqa: RUF009  (a field)
        readers.folder, "seedance/%Y/%m/"
    )
    """Folder of kept files: a strftime format or a callable `(video) -> name`."""
    auto_store: bool = _setting(readers.flag, False)
    """Keep the file of every video that completes."""
    max_file_size: int = _setting(readers.whole(1), 4 * 1024**3)
    """Largest file that is kept, in bytes."""
    store_timeout: float = _setting(readers.seconds(1), 3600.0)
    """Seconds for one download as a whole."""
    sweep_interval: float = _setting(readers.interval, 30.0)
    """Seconds between a worker's sweeps; 0 turns its timer off."""
    resend_after: float = _setting(readers.seconds(1), 60.0)
    """By how many seconds a poll or a kept task may be late before the sweep sends it again."""
    keep_connection: float = _setting(readers.interval, 60.0)
    """For how many seconds a worker keeps a database connection of the poll loop, which is then
    opened anew; 0 closes it with each task, as Celery does with all others."""
    late_polls: tuple[float, ...] = _setting(readers.ages, (600.0, 3600.0, 21600.0, 86400.0))
    """Ages, in seconds after the package ended it, at which a video is asked for once more."""
    prune_after: float | None = _setting(
        readers.seconds(3600), None, optional=True, example="90 * 86400"
    )
    """Age in seconds at which the sweep removes finished videos, with your rows that hang on them
    by `CASCADE`. Default: never."""
    keep_keys: float = _setting(readers.seconds(86400, 10 * readers.YEAR), 365 * 86400.0)
    """For how many seconds an idempotency key is remembered after the row of its video is gone."""
    view_permission: str | Callable[..., Any] = _setting(  # noqa: RUF009  (a field)
        readers.dotted_path, "seedance_celery.permissions.staff_only"
    )
    """Dotted path of `(request, video) -> bool`: who may see a video on the status endpoint."""
    max_in_flight: int | None = _setting(readers.whole(1), None, optional=True, example="10")
    """How many videos of an account may render at once; more creates wait their turn."""
    max_creates: int | None = _setting(readers.whole(0), None, optional=True, example="100")
    """How many videos an account may buy per day (UTC); more are refused."""
    default_model: str = _setting(readers.model_id, catalog.DEFAULT_MODEL)
    """The model of a create that names none."""
    models: Mapping[str, catalog.Model] = dataclasses.field(
        default_factory=lambda: catalog.CATALOG,
        metadata={"read": readers.models, "optional": False, "example": "{}"},
    )
    """Models to add to the built-in table, or to change in it. One with `"content": True` has no
    links: its files are loaded from `/v1/videos/{id}/content` with the key."""

    def account(self, name: str | None = None) -> Account:
        """Return the account of a name.

        Raises `UnknownAccount` where `ACCOUNTS` lacks it, `InvalidRequest` for what is no name.
        """
        name = checked_account(name) or "default"
        try:
            return self.accounts[name]
        except KeyError:
            raise UnknownAccount(_unknown_account(name, self.accounts)) from None

    @property
    def poll_limit(self) -> float:
        """The seconds after which a poll is given up as a whole."""
        return sum(self.request_timeout)


class UnknownAccount(SeedanceError, ImproperlyConfigured):  # noqa: N818
    """An account's name that `SEEDANCE["ACCOUNTS"]` does not have; nothing was sent."""


def _unknown_account(name: str, known: Mapping[str, Account]) -> str:
    return (
        f"SEEDANCE['ACCOUNTS'] has no account {name!r} (known: {', '.join(sorted(known))}). "
        f"Add it there, or pass one of these as account=."
    )


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the dict: the check's id, what it is, what to write."""

    id: str
    message: str
    hint: str


FIELDS = {field.name.upper(): field for field in dataclasses.fields(Settings)}
ACCOUNT_FIELDS = ("API_KEY", "BASE_URL", "MAX_IN_FLIGHT", "MAX_CREATES")


def _read(raw: Any) -> tuple[Settings, list[Problem]]:
    if not isinstance(raw, Mapping):
        hint = f"Write SEEDANCE = {{'API_KEY': {KEY_EXAMPLE}}}."
        return Settings(), [Problem("seedance.E002", "SEEDANCE must be a dict.", hint)]
    values, found = _read_fields(raw, tuple(FIELDS), "SEEDANCE")
    accounts, bad = _read_accounts(values.pop("accounts", {}), values)
    settings = Settings(accounts=MappingProxyType(accounts), **values)
    return settings, found + bad + _relations(settings)


def _read_fields(
    raw: Mapping[Any, Any], names: Iterable[str], where: str
) -> tuple[dict[str, Any], list[Problem]]:
    values: dict[str, Any] = {}
    found: list[Problem] = []
    for name, value in raw.items():
        if name not in names:
            found.append(_unknown_setting(name, names, where))
        elif value is not None or not FIELDS[name].metadata["optional"]:
            try:
                values[name.lower()] = FIELDS[name].metadata["read"](value)
            except ValueError as error:
                found.append(_wrong_value(name, where, error))
    return values, found


def _unknown_setting(name: Any, names: Iterable[str], where: str) -> Problem:
    near = difflib.get_close_matches(str(name).upper(), names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(names))}."
    return Problem("seedance.E001", f"{where} has no setting {name!r}.", hint)


def _wrong_value(name: str, where: str, error: ValueError) -> Problem:
    example = FIELDS[name].metadata["example"]
    hint = f"Write {name!r}: {example}, for one, or leave it out."
    return Problem("seedance.E002", f"{where}[{name!r}] {error}.", hint)


def _read_accounts(
    raw: Mapping[str, Any], shared: Mapping[str, Any]
) -> tuple[dict[str, Account], list[Problem]]:
    named: dict[str, Account] = {}
    found: list[Problem] = []
    for name, options in raw.items():
        values, bad = _read_fields(options, ACCOUNT_FIELDS, f"SEEDANCE['ACCOUNTS'][{name!r}]")
        found += bad
        own_key = {} if name == "default" else {"api_key": None}
        named[name] = _account(name, {**shared, **own_key, **values})
    # Without a key, a default beside named accounts would only be an error to work around.
    if not named or shared.get("api_key") is not None or os.environ.get(KEY_VARIABLE):
        named.setdefault("default", _account("default", shared))
    return named, found


def _account(name: str, values: Mapping[str, Any]) -> Account:
    keys = [key.lower() for key in ACCOUNT_FIELDS if key.lower() in values]
    return Account(name, **{key: values[key] for key in keys})


def _relations(settings: Settings) -> list[Problem]:
    found = []
    low = settings.poll_countdown[0]
    if low < MIN_INTERVAL and not all(a.is_local for a in settings.accounts.values()):
        message = f"SEEDANCE['POLL_COUNTDOWN'] starts at {low:g} s; the API asks for 10 s or more."
        hint = "Write (10, 20). Shorter is allowed only where BASE_URL is a loopback address."
        found.append(Problem("seedance.E004", message, hint))
    if settings.poll_limit > settings.resend_after:
        message = (
            f"A poll may last {settings.poll_limit:g} s (SEEDANCE['REQUEST_TIMEOUT']), longer than "
            f"RESEND_AFTER ({settings.resend_after:g} s): the sweep would start it twice."
        )
        hint = f"Write 'RESEND_AFTER': {settings.poll_limit:g}, or a shorter REQUEST_TIMEOUT."
        found.append(Problem("seedance.E005", message, hint))
    return found


def problems() -> list[Problem]:
    """Return everything that is wrong with `settings.SEEDANCE`, missing keys apart."""
    return _read(_raw())[1]


@cache
def get_settings() -> Settings:
    """Return `settings.SEEDANCE`, read once and again after `override_settings`.

    Raises `ImproperlyConfigured` with every problem in it, but for a missing key: rows can be
    read and shown without one.
    """
    settings, found = _read(_raw())
    if found:
        raise ImproperlyConfigured("\n".join(f"{p.message} {p.hint}" for p in found))
    return settings


def _raw() -> Any:
    return getattr(django_settings, "SEEDANCE", {})


def _forget(*, setting: str, **kwargs: object) -> None:
    if setting == "SEEDANCE":
        get_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="seedance_celery.conf")
