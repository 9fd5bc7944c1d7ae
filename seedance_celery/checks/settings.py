"""Checks of `SEEDANCE`, and of what it names elsewhere in the project."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator
from typing import Any

from django.conf import settings as django_settings
from django.core import checks, mail
from django.utils.module_loading import import_string

from ..api.base_url import KEY_VARIABLE
from ..conf import Account, Settings, get_settings, problems
from ..conf.readers import KeyPath
from .messages import TAG, error, warning

__all__ = ["check_settings"]

DEFAULTS = Settings()


@checks.register(TAG)
def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report what is wrong with `SEEDANCE`: E001 to E007, W001, W010."""
    found = problems()
    if found:
        return [checks.Error(p.message, hint=p.hint, id=p.id) for p in found]
    settings = get_settings()
    return [
        *(message for a in settings.accounts.values() for message in _check_key(a)),
        *_check_storage(settings),
        *_check_view_permission(settings),
        *_check_default_model(settings),
    ]


def _check_key(account: Account) -> Iterator[checks.CheckMessage]:
    # A callable is not asked: it may reach a secret manager over the network.
    source = account.api_key
    if isinstance(source, KeyPath):
        yield from _check_key_path(account, source)
    elif not callable(source) and not account.key().strip():
        hint = _key_hint(account)
        message = f"Account {account.name!r} has no API key."
        yield warning(10, message, hint) if _may_lack_keys() else error(3, message, hint)


def _may_lack_keys() -> bool:
    """Tell whether tables are made or tests run, where there is no key."""
    # Not from `databases`: since Django 6.1 every command names some.
    is_migration = sys.argv[1:2] == ["migrate"]
    # Django's test environment has an outbox.
    return is_migration or hasattr(mail, "outbox")


def _key_hint(account: Account) -> str:
    where = f"SEEDANCE['ACCOUNTS'][{account.name!r}]['API_KEY']"
    if account.name != "default":
        return f"Write {where}: a key, a callable or its dotted path."
    return f"Set the environment variable {KEY_VARIABLE}, or write SEEDANCE['API_KEY']."


def _check_key_path(account: Account, path: KeyPath) -> Iterator[checks.CheckMessage]:
    try:
        target = path.target()
    except Exception as problem:  # noqa: BLE001  (the module that it names may raise anything)
        why = f"cannot be imported ({type(problem).__name__})"
    else:
        if callable(target) or (isinstance(target, str) and target.strip()):
            return
        why = "leads to neither a key nor a callable"
    # The path itself stays unsaid: it may be a key that looks like one.
    message = f"Account {account.name!r} has no API key: the dotted path in API_KEY {why}."
    yield error(3, message, "Write a path such as 'myproject.secrets.cometapi_key'.")


def _check_storage(settings: Settings) -> Iterator[checks.CheckMessage]:
    known = django_settings.STORAGES
    if settings.storage not in known:
        message = f"SEEDANCE['STORAGE'] is {settings.storage!r}, which STORAGES does not have."
        near = difflib.get_close_matches(settings.storage, known, n=1)
        names = ", ".join(map(repr, known))
        yield error(6, message, f"Did you mean {near[0]!r}?" if near else f"Known: {names}.")


def _check_view_permission(settings: Settings) -> Iterator[checks.CheckMessage]:
    path = settings.view_permission
    if callable(path) or path == DEFAULTS.view_permission:
        return
    try:
        target = import_string(path)
    except Exception as problem:  # noqa: BLE001  (the module that it names may raise anything)
        why = f"cannot be imported: {problem}"
    else:
        if callable(target):
            return
        why = "is no callable"
    hint = "Write the dotted path of a function (request, video) -> bool."
    yield error(7, f"SEEDANCE['VIEW_PERMISSION'], {path!r}, {why}.", hint)


def _check_default_model(settings: Settings) -> Iterator[checks.CheckMessage]:
    if settings.default_model in settings.models:
        return
    near = difflib.get_close_matches(settings.default_model, settings.models, n=1)
    message = (
        f"SEEDANCE['DEFAULT_MODEL'], {settings.default_model!r}, is in no table of models: lengths "
        f"and sizes are not checked before a create."
    )
    hint = f"Add it to SEEDANCE['MODELS']: {{{settings.default_model!r}: {{'seconds': (4, 15)}}}}."
    yield warning(1, message, f"Did you mean {near[0]!r}? {hint}" if near else hint)
