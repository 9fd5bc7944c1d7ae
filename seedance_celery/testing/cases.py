"""For test cases of `unittest` and Django, without pytest."""

from __future__ import annotations

from typing import Any, ClassVar
from unittest import TestCase

from .kit import Seedance

__all__ = ["SeedanceTestMixin"]


class SeedanceTestMixin(TestCase):
    """Gives each test a started `Seedance`: `class RenderTests(SeedanceTestMixin, TestCase)`.

    `seedance_options` go to `Seedance`: `{"http": True, "TIMEOUT": 60}`.
    """

    seedance: Seedance
    seedance_options: ClassVar[dict[str, Any]] = {}

    def setUp(self) -> None:
        """Start a kit for this test."""
        super().setUp()
        self.seedance = Seedance(**self.seedance_options).__enter__()
        self.addCleanup(self.seedance.__exit__, None, None, None)
