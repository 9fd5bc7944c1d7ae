"""The reader of `SEEDANCE`: what it takes, and what it says of what it does not take."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from seedance_celery.api.base_url import is_loopback
from seedance_celery.conf import UnknownAccount, get_settings, problems, settings

LOCAL = "http://127.0.0.1:8765"
SECRET = "sk-secret-0123456789"

key_of_the_project = SECRET


def rotating_key() -> str:
    return "sk-rotated"


def no_key() -> None:
    return None


def raw_key() -> bytes:
    return SECRET.encode()


def read(**settings: Any) -> settings.Settings:
    with override_settings(SEEDANCE={"API_KEY": SECRET, **settings}):
        return get_settings()


def found(seedance: Any) -> list[tuple[str, str, str]]:
    with override_settings(SEEDANCE=seedance):
        return [dataclasses.astuple(problem) for problem in problems()]


def test_a_key_alone_leaves_the_documented_defaults() -> None:
    settings = read()
    assert settings.base_url == "https://api.cometapi.com"
    assert tuple(settings.poll_countdown) == (10.0, 20.0)
    assert (settings.timeout, settings.create_timeout) == (3600, 120)
    assert (settings.sweep_interval, settings.resend_after) == (30, 60)
    assert settings.poll_limit <= settings.resend_after


def test_settings_are_read_again_when_a_test_overrides_them() -> None:
    assert read(TIMEOUT=60).timeout == 60
    assert read(TIMEOUT=90).timeout == 90


@pytest.mark.parametrize(
    ("name", "meant"),
    [("POLL_COUNTDOWNS", "POLL_COUNTDOWN"), ("api_key", "API_KEY"), ("MAX_CREATE", "MAX_CREATES")],
)
def test_an_unknown_setting_names_the_nearest_known_one(name: str, meant: str) -> None:
    assert found({name: 1}) == [
        ("seedance.E001", f"SEEDANCE has no setting {name!r}.", f"Did you mean {meant!r}?")
    ]


def test_a_setting_that_is_near_to_none_lists_what_there_is() -> None:
    [(number, _, hint)] = found(
        {
            "ZZZZZZZZ": 1,
        }
    )
    assert number == "seedance.E001"
    assert "POLL_COUNTDOWN" in hint


def test_a_setting_of_an_account_that_is_no_account_setting_is_unknown() -> None:
    [(number, message, _)] = found({"ACCOUNTS": {"eu": {"API_KEY": SECRET, "TIMEOUT": 3}}})
    assert number == "seedance.E001"
    assert message == "SEEDANCE['ACCOUNTS']['eu'] has no setting 'TIMEOUT'."


WRONG: list[tuple[str, Any]] = [
    ("POLLER", "bulk"),
    ("POLLER", True),
    ("BATCH_TASKS", 0),
    ("BATCH_CONNECTIONS", 2.5),
    ("API_KEY", 5),
    ("API_KEY", f"{SECRET}\n"),
    ("API_KEY", "sk-ключ"),
    ("BASE_URL", None),
    ("BASE_URL", "api.cometapi.com"),
    ("BASE_URL", "ftp://api.cometapi.com"),
    ("BASE_URL", "http://api.cometapi.com"),
    ("BASE_URL", "http://127.0.0.1.example.com"),
    ("BASE_URL", "https://user:secret@api.cometapi.com"),
    ("BASE_URL", "https://api.cometapi.com?key=1"),
    ("BASE_URL", "https://api.cometapi.com:99999"),
    ("BASE_URL", "https://[::1"),
    ("BASE_URL", "https://:secret@api.cometapi.com"),
    ("BASE_URL", "https://@api.cometapi.com"),
    ("BASE_URL", "https://exämple.com"),
    ("BASE_URL", "https://api.cometapi.com\u200b"),
    ("BASE_URL", "https://api.comet api.com"),
    ("ACCOUNTS", []),
    ("ACCOUNTS", {"eu": SECRET}),
    ("ACCOUNTS", {5: {}}),
    ("ACCOUNTS", {"": {}}),
    ("ACCOUNTS", {"e" * 65: {}}),
    ("POLL_COUNTDOWN", 10),
    ("POLL_COUNTDOWN", (20, 10)),
    ("POLL_COUNTDOWN", (10, 20, 30)),
    ("POLL_COUNTDOWN", ("10", "20")),
    ("TIMEOUT", None),
    ("TIMEOUT", "1h"),
    ("TIMEOUT", True),
    ("TIMEOUT", 0),
    ("TIMEOUT", float("nan")),
    ("TIMEOUT", float("inf")),
    ("REQUEST_TIMEOUT", 30),
    ("REQUEST_TIMEOUT", (0, 30)),
    ("CREATE_TIMEOUT", -1),
    ("QUEUE", 5),
    ("QUEUE", " "),
    ("STORE_QUEUE", ""),
    ("STORAGE", None),
    ("STORAGE", ""),
    ("UPLOAD_TO", 5),
    ("UPLOAD_TO", "/srv/videos"),
    ("UPLOAD_TO", "videos/../.."),
    ("AUTO_STORE", "yes"),
    ("AUTO_STORE", 1),
    ("MAX_FILE_SIZE", 0),
    ("MAX_FILE_SIZE", 1.5),
    ("STORE_TIMEOUT", 0),
    ("KEEP_CONNECTION", -1),
    ("SWEEP_INTERVAL", -1),
    ("SWEEP_INTERVAL", 0.001),
    ("RESEND_AFTER", 0),
    ("LATE_POLLS", 600),
    ("LATE_POLLS", (600, 600)),
    ("LATE_POLLS", (3600, 600)),
    ("PRUNE_AFTER", 60),
    ("KEEP_KEYS", 3600),
    ("KEEP_KEYS", None),
    ("KEEP_KEYS", 11 * 366 * 86400),
    ("VIEW_PERMISSION", 5),
    ("VIEW_PERMISSION", "staff only"),
    ("MAX_IN_FLIGHT", 0),
    ("MAX_CREATES", -1),
    ("MAX_CREATES", True),
    ("DEFAULT_MODEL", ""),
    ("DEFAULT_MODEL", "m" * 101),
    ("MODELS", ["doubao-seedance-3"]),
    ("MODELS", {"doubao-seedance-3": 5}),
    ("MODELS", {"doubao-seedance-3": {"seconds": (9, 4)}}),
    ("MODELS", {"doubao-seedance-3": {"second": (4, 9)}}),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda part: str(part)[:30])
def test_a_wrong_value_is_named_with_what_to_write(name: str, value: Any) -> None:
    [(number, message, hint)] = found({name: value})
    assert number == "seedance.E002"
    assert message.startswith(f"SEEDANCE[{name!r}] ")
    assert hint.startswith(f"Write {name!r}: ")
    assert "secret" not in message + hint


def test_every_setting_refuses_something() -> None:
    assert {name for name, _ in WRONG} == set(settings.FIELDS)


@pytest.mark.parametrize("name", sorted(settings.FIELDS))
def test_the_example_in_a_hint_is_itself_right(name: str) -> None:
    example = settings.FIELDS[name].metadata["example"]
    value = eval(example, {"os": SimpleNamespace(environ=_AnyKey())})
    assert found({name: value}) == []


class _AnyKey(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return SECRET


def test_what_is_no_dict_at_all_is_an_error() -> None:
    [(number, message, _)] = found(["API_KEY"])
    assert (number, message) == ("seedance.E002", "SEEDANCE must be a dict.")


def test_use_of_wrong_settings_tells_every_problem_at_once() -> None:
    with (
        override_settings(SEEDANCE={"TIMEOUTS": 5, "AUTO_STORE": "no"}),
        pytest.raises(ImproperlyConfigured) as caught,
    ):
        get_settings()
    assert "Did you mean 'TIMEOUT'?" in str(caught.value)
    assert "SEEDANCE['AUTO_STORE'] must be True or False" in str(caught.value)


def test_right_values_are_read() -> None:
    settings = read(
        BASE_URL=" https://proxy.example.com/comet/v1/\n",
        POLL_COUNTDOWN=[10, 12],
        UPLOAD_TO="",
        SWEEP_INTERVAL=0,
        QUEUE=None,
        PRUNE_AFTER=None,
        MAX_CREATES=0,
        LATE_POLLS=(),
    )
    assert settings.base_url == "https://proxy.example.com/comet"
    assert settings.poll_countdown == (10.0, 12.0)
    assert (settings.upload_to, settings.sweep_interval, settings.max_creates) == ("", 0, 0)
    assert (settings.queue, settings.prune_after, settings.late_polls) == (None, None, ())


def test_a_model_can_be_added_and_the_others_stay() -> None:
    models = read(MODELS={"doubao-seedance-3": {"seconds": (4, 60)}}).models
    assert models["doubao-seedance-3"].seconds == (4, 60)
    assert models["doubao-seedance-2-0"].seconds == (4, 15)


# Relations between settings.


def test_an_interval_under_ten_seconds_is_refused_against_the_real_api() -> None:
    [(number, message, hint)] = found({"API_KEY": SECRET, "POLL_COUNTDOWN": (9.9, 20)})
    assert number == "seedance.E004"
    assert "9.9 s" in message
    assert hint.startswith("Write (10, 20).")


def test_an_interval_under_ten_seconds_is_allowed_against_the_simulator() -> None:
    assert found({"BASE_URL": LOCAL, "POLL_COUNTDOWN": (0.2, 0.4)}) == []


def test_one_account_at_the_real_api_is_enough_to_refuse_a_short_interval() -> None:
    accounts = {"eu": {"API_KEY": SECRET, "BASE_URL": "https://api.cometapi.com"}}
    settings: dict[str, Any] = {"API_KEY": SECRET, "BASE_URL": LOCAL, "POLL_COUNTDOWN": (1, 2)}
    assert found(settings) == []
    settings["ACCOUNTS"] = accounts
    assert [number for number, *_ in found(settings)] == ["seedance.E004"]


def test_a_poll_that_may_outlast_resend_after_is_refused() -> None:
    [(number, _, hint)] = found({"REQUEST_TIMEOUT": (10, 51)})
    assert number == "seedance.E005"
    assert hint.startswith("Write 'RESEND_AFTER': 61")
    assert found({"REQUEST_TIMEOUT": (10, 50)}) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "[::1]"])
def test_this_machine_is_local(host: str) -> None:
    assert is_loopback(f"http://{host}:8765/x")


@pytest.mark.parametrize("host", ["127.0.0.1.example.com", "127.evil.example", "10.0.0.1", "", "["])
def test_what_only_looks_like_this_machine_is_not_local(host: str) -> None:
    assert not is_loopback(f"http://{host}")


# Accounts and keys.


def test_the_key_comes_from_the_environment_where_no_setting_has_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COMETAPI_KEY", "sk-from-the-environment")
    with override_settings(SEEDANCE={}):
        assert get_settings().account().key() == "sk-from-the-environment"
        monkeypatch.setenv("COMETAPI_KEY", "sk-rotated")
        assert get_settings().account().key() == "sk-rotated"
    assert read().account().key() == SECRET


@pytest.mark.parametrize(
    ("source", "key"),
    [
        (SECRET, SECRET),
        (rotating_key, "sk-rotated"),
        (f"{__name__}.rotating_key", "sk-rotated"),
        (f"{__name__}.key_of_the_project", SECRET),
        (no_key, ""),
        (f"{__name__}.no_key", ""),
        (f"{__name__}.raw_key", ""),
    ],
)
def test_a_key_is_a_text_a_callable_or_the_path_of_either(source: Any, key: str) -> None:
    assert read(API_KEY=source).account().key() == key


def test_accounts_inherit_everything_but_the_key() -> None:
    accounts = {"eu": {"API_KEY": "sk-eu", "MAX_IN_FLIGHT": 2}, "us": {"API_KEY": "sk-us"}}
    settings = read(BASE_URL=LOCAL, MAX_IN_FLIGHT=9, ACCOUNTS=accounts)
    assert sorted(settings.accounts) == ["default", "eu", "us"]
    assert settings.account("eu").key() == "sk-eu"
    assert (settings.account("eu").max_in_flight, settings.account("us").max_in_flight) == (2, 9)
    assert settings.account("us").base_url == LOCAL
    assert settings.account(None).key() == SECRET


def test_an_account_without_a_key_does_not_use_the_default_ones() -> None:
    assert read(ACCOUNTS={"eu": {}}).account("eu").key() == ""


def test_named_accounts_alone_need_no_default_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMETAPI_KEY", raising=False)
    with override_settings(SEEDANCE={"ACCOUNTS": {"eu": {"API_KEY": SECRET}}}):
        assert sorted(get_settings().accounts) == ["eu"]


def test_an_unknown_account_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownAccount, match=r"no account 'us' \(known: default, eu\)"):
        read(ACCOUNTS={"eu": {"API_KEY": SECRET}}).account("us")


def test_no_repr_holds_a_key() -> None:
    settings = read(ACCOUNTS={"eu": {"API_KEY": "sk-eu-key"}})
    shown = repr(settings) + repr(settings.account("eu")) + str(settings)
    assert SECRET not in shown
    assert "sk-eu-key" not in shown


def test_every_setting_has_a_text_under_it() -> None:
    body = ast.parse(inspect.getsource(settings.Settings)).body[0]
    assert isinstance(body, ast.ClassDef)
    below = dict(zip(body.body, body.body[1:], strict=False))
    for node, following in below.items():
        if isinstance(node, ast.AnnAssign):
            assert isinstance(following, ast.Expr), ast.unparse(node.target)
