"""The site, its people, and an empty cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client

from seedance_celery.testing import Seedance


@pytest.fixture(autouse=True)
def _site(settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF = "tests.web.urls"
    cache.clear()
    yield
    cache.clear()


def person(name: str, *codenames: str, **flags: Any) -> Client:
    """Sign in a new user who has some permissions."""
    user = User.objects.create_user(name, **flags)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def staff(db: None) -> Client:
    """A member of the staff without permissions in the admin."""
    return person("staff", is_staff=True)


@pytest.fixture
def boss(db: None) -> Client:
    """A superuser."""
    return person("boss", is_staff=True, is_superuser=True)


@pytest.fixture
def seedance(transactional_db: None) -> Iterator[Seedance]:
    """A started kit, on a database whose commits are real."""
    with Seedance() as kit:
        yield kit
