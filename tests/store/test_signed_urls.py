"""When a signed URL expires."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedance_celery.api.signed_urls import expires_at

END = datetime(2026, 7, 6, 12, tzinfo=timezone.utc)
UNIX = int(END.timestamp())
DAY = "20260705T120000Z"


@pytest.mark.parametrize(
    "query",
    [
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={DAY}&X-Amz-Expires=86400&X-Amz-Signature=a",
        f"X-Tos-Date={DAY}&X-Tos-Expires=86400&X-Tos-Signature=a",
        f"x-tos-expires=86400&x-tos-date={DAY}",
        f"X-Goog-Date={DAY}&X-Goog-Expires=86400",
        f"x-oss-date={DAY}&x-oss-expires=86400",
        f"AWSAccessKeyId=A&Expires={UNIX}&Signature=a",
        f"expires={UNIX}&signature=a%2Fb",
        f"x-expires={UNIX}&x-signature=a",
        f"Expires={UNIX}000",
        f"q-sign-algorithm=sha1&q-sign-time={UNIX - 3600}%3B{UNIX}",
        "sv=2024-11-04&se=2026-07-06T12%3A00%3A00Z&sig=a",
        "se=2026-07-06T12:00Z",
        f"Expires={UNIX}&X-Amz-Date={DAY}&X-Amz-Expires=604800",
    ],
)
def test_usual_forms_are_read(query: str) -> None:
    assert expires_at(f"https://files.example.com/a.mp4?{query}") == END


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://[",
        "https://files.example.com/a.mp4",
        "https://x/?Expires=3600",
        "https://x/?Expires=tomorrow",
        "https://x/?Expires=%D9%A1%D9%A2%D9%A3%D9%A4%D9%A5%D9%A6%D9%A7%D9%A8%D9%A9",
        "https://x/?Expires=9999999999999",
        "https://x/?Expires=" + "9" * 5000,
        f"https://x/?X-Amz-Date={DAY}",
        "https://x/?X-Amz-Expires=60",
        f"https://x/?X-Amz-Date={DAY}&X-Amz-Expires=-5",
        f"https://x/?X-Amz-Date={DAY}&X-Tos-Expires=60",
        "https://x/?X-Amz-Date=99991231T235959Z&X-Amz-Expires=9999999999",
        "https://x/?se=now&q-sign-time=;",
    ],
)
def test_what_does_not_say_is_none(url: str) -> None:
    assert expires_at(url) is None


NAMES = st.sampled_from(["Expires", "X-Amz-Date", "X-Amz-Expires", "se", "q-sign-time", "exp"])


@given(st.lists(st.tuples(NAMES, st.text(max_size=20))), st.text(max_size=30))
def test_nothing_raises(pairs: list[tuple[str, str]], end: str) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs)
    found = expires_at(f"https://x/?{query}{end}")
    assert found is None or found.tzinfo is timezone.utc
