"""What is taken out of texts and data before anybody sees or stores them."""

from __future__ import annotations

from typing import Any

import pytest

from seedance_celery.api.redaction import Secret
from seedance_celery.api.replies import redact, redact_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://a.example/v.mp4?sig=x&e=1 now", "see https://a.example/v.mp4?[redacted] now"),
        ("'HTTPS://a.example/?x'", "'HTTPS://a.example/?[redacted]'"),
        (r"https:\/\/a.example\/v?sig=x", r"https:\/\/a.example\/v?[redacted]"),
        ("https://a.example/v.mp4", "https://a.example/v.mp4"),
        ("Authorization: Bearer abc.DEF-1", "Authorization: Bearer [redacted]"),
        ("invalid key sk-Ab12****9z", "invalid key sk-[redacted]"),
        ("is it? yes", "is it? yes"),
        ("a\0b\ud800", "ab\N{REPLACEMENT CHARACTER}"),
    ],
)
def test_secrets_are_taken_out_of_text(text: str, shown: str) -> None:
    assert redact_text(text) == shown


def test_redacting_twice_changes_nothing_more() -> None:
    once = redact_text("https://a.example/?sig=x Bearer y sk-abcdef")
    assert redact_text(once) == once


def test_what_is_private_is_taken_out_before_the_text_is_cut() -> None:
    prompt = "A very private kite. " * 1000
    assert redact_text(f"Rejected: {prompt}", 300, hide=[prompt]) == "Rejected: [redacted]"
    assert redact_text(f"Rejected: {prompt}", 300, hide=[Secret(prompt)]) == "Rejected: [redacted]"


def test_a_secret_is_in_no_repr() -> None:
    assert repr([Secret("sk-abcdef")]) == "[[redacted]]"
    assert "sk-abcdef" not in f"{Secret('sk-abcdef')}"


def test_data_is_copied_and_redacted_at_every_depth() -> None:
    url = "https://a.example/v?sig=x"
    data: dict[str, Any] = {"a": [{"u": url, url: 1}], "n": 1.5, "t": True, "z": None}
    shown = redact(data)
    safe = "https://a.example/v?[redacted]"
    assert shown == {"a": [{"u": safe, safe: 1}], "n": 1.5, "t": True, "z": None}
    assert data["a"][0]["u"] == url


def test_an_echoed_prompt_is_taken_out() -> None:
    assert redact({"data": {"prompt": "a kite"}}) == {"data": {"prompt": "[redacted]"}}


def test_what_is_too_deep_or_too_large_becomes_none() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    assert str(redact(deep)).count("[") < 20
    assert redact([2**63, float("nan"), float("inf"), -(2**63) + 1]) == [
        *[None, None, None],
        -(2**63) + 1,
    ]
