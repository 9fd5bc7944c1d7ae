"""One rule for the API's address, in the client and in the settings."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from seedance_celery.api.base_url import checked_base_url
from seedance_celery.client import Client
from seedance_celery.conf import get_settings
from seedance_celery.exceptions import InvalidRequest

ACCEPTED = {
    "https://api.cometapi.com": "https://api.cometapi.com",
    " https://api.cometapi.com/\n": "https://api.cometapi.com",
    "https://api.cometapi.com/v1": "https://api.cometapi.com",
    "https://api.cometapi.com/v1/": "https://api.cometapi.com",
    "https://api.cometapi.com/v1/videos": "https://api.cometapi.com",
    "https://api.cometapi.com/v1/videos/": "https://api.cometapi.com",
    "https://gateway.example.com/comet/v1": "https://gateway.example.com/comet",
    "HTTPS://gateway.example.com": "HTTPS://gateway.example.com",
    "http://127.0.0.1:8765": "http://127.0.0.1:8765",
    "http://localhost:8765/v1": "http://localhost:8765",
}
REFUSED = [
    *["", "api.cometapi.com", "ftp://api.cometapi.com", "http://", "http://api.cometapi.com"],
    *["https://a:b", "https://u:p@a", "https://@a", "https://a?b=c", "https://a#b", "https://a:0"],
    *["https://a b", "https://a\u200b", "https://exämple.com", "https://a/ü", "https://[::1"],
]


@pytest.mark.parametrize(("given", "root"), ACCEPTED.items())
def test_client_and_settings_accept_the_same_addresses(given: str, root: str) -> None:
    Client("sk-x", given).close()
    with override_settings(SEEDANCE={"API_KEY": "sk-x", "BASE_URL": given}):
        assert get_settings().base_url == checked_base_url(given) == root


@pytest.mark.parametrize("given", REFUSED)
def test_client_and_settings_refuse_the_same_addresses(given: str) -> None:
    with pytest.raises(InvalidRequest):
        Client("sk-x", given)
    with (
        override_settings(SEEDANCE={"API_KEY": "sk-x", "BASE_URL": given}),
        pytest.raises(ImproperlyConfigured),
    ):
        get_settings()
