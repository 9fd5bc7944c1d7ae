"""Whatever a test makes of `SEEDANCE` while the kit is there, it leads to the simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import TestCase, override_settings

from seedance_celery.conf import get_settings
from seedance_celery.shortcuts import generate_video
from seedance_celery.testing import Seedance, SeedanceTestMixin

pytestmark = pytest.mark.django_db

REAL = "sk-real"
OVERRIDDEN: dict[str, dict[str, Any]] = {
    "the key and address of the defaults": {"TIMEOUT": 70},
    "a key of its own": {"API_KEY": REAL},
    "an address of its own": {"API_KEY": REAL, "BASE_URL": "https://api.example"},
    "accounts": {"ACCOUNTS": {"default": {"API_KEY": REAL}}},
    "accounts with addresses": {
        "ACCOUNTS": {"default": {"API_KEY": REAL, "BASE_URL": "https://eu.example"}}
    },
}


@pytest.fixture(autouse=True)
def _key_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMETAPI_KEY", REAL)


def assert_bought_of_the_simulator(kit: Seedance) -> None:
    assert [account.base_url for account in get_settings().accounts.values()] == [kit.url]
    assert django_settings.SEEDANCE["BASE_URL"] == kit.url
    video = generate_video("A kite")
    kit.run_until_done()
    assert video.current().status == "completed"
    assert kit.charges == 1
    assert REAL not in {seen.key for seen in kit.requests}


@pytest.mark.parametrize("own", OVERRIDDEN.values(), ids=list(OVERRIDDEN))
def test_overridden_settings_buy_of_the_simulator(seedance: Seedance, own: dict[str, Any]) -> None:
    with override_settings(SEEDANCE=own):
        assert_bought_of_the_simulator(seedance)


@pytest.mark.parametrize("own", OVERRIDDEN.values(), ids=list(OVERRIDDEN))
def test_settings_of_pytests_fixture_buy_of_the_simulator(
    settings: Any, seedance: Seedance, own: dict[str, Any]
) -> None:
    settings.SEEDANCE = own
    assert_bought_of_the_simulator(seedance)


def test_deleted_settings_buy_of_the_simulator(seedance: Seedance, settings: Any) -> None:
    del settings.SEEDANCE
    generate_video("A kite")
    seedance.run_until_done()
    assert seedance.charges == 1


class OfATestCase(SeedanceTestMixin, TestCase):
    def test_a_context_within_a_test(self) -> None:
        with self.settings(SEEDANCE={"TIMEOUT": 70}):
            assert_bought_of_the_simulator(self.seedance)
            assert get_settings().timeout == 70

    @override_settings(SEEDANCE={"API_KEY": REAL})
    def test_a_decorator(self) -> None:
        assert_bought_of_the_simulator(self.seedance)


def test_options_of_the_kit_lead_nowhere_else() -> None:
    with Seedance(**OVERRIDDEN["an address of its own"]) as kit:
        assert_bought_of_the_simulator(kit)


def test_a_key_that_a_test_addresses_to_the_simulator_is_kept(seedance: Seedance) -> None:
    with override_settings(SEEDANCE={**django_settings.SEEDANCE, "API_KEY": "sk-other"}):
        generate_video("A kite")
        seedance.run_due()
    assert {seen.key for seen in seedance.requests} == {"sk-other"}


@pytest.mark.parametrize("end", ["the kit first", "the fixture first"])
def test_afterwards_the_projects_settings_hold(end: str) -> None:
    own = django_settings.SEEDANCE
    kit = Seedance()
    kit.__enter__()
    changed = override_settings(SEEDANCE={"TIMEOUT": 70})
    changed.enable()
    ends: list[Callable[[], Any]] = [changed.disable, lambda: kit.__exit__(None, None, None)]
    for step in ends if end == "the fixture first" else reversed(ends):
        step()
    assert own == django_settings.SEEDANCE


def test_a_kit_within_a_kit_has_its_own_address() -> None:
    with Seedance() as outer:
        with Seedance(http=True) as inner, override_settings(SEEDANCE={}):
            assert get_settings().base_url == inner.url
        assert get_settings().base_url == outer.url


@pytest.mark.parametrize("name", ["Kunde A", "münchen", "a/b%"])
def test_an_account_may_have_any_name(name: str) -> None:
    with override_settings(SEEDANCE={"ACCOUNTS": {name: {"API_KEY": REAL}}}), Seedance() as kit:
        video = generate_video("A kite", account=name)
        kit.run_until_done()
        assert video.current().status == "completed"
