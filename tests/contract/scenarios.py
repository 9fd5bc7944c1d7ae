"""What a reader must make of each scenario: data, beside the simulator's own table.

`RETRIEVES` tells of the first retrieve after the end of the render, `CREATES` of the create. The
names are those of `README.md`, and `link` says whether a link that can be used was found.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CREATES", "NO_REPLY", "RETRIEVES"]

Expected = dict[str, Any]

COMPLETED: Expected = {"status": "completed", "link": True}
WITHOUT_LINK: Expected = {"status": "completed", "link": False}
FAILED: Expected = {"status": "failed", "link": False}
BROKEN: Expected = {"error": "BrokenReply"}
SERVER: Expected = {"error": "ServerError"}
REFUSED: Expected = {"error": "RequestRefused"}
LIMITED: Expected = {"error": "RateLimited"}
QUOTA: Expected = {"error": "QuotaExceeded"}
KEY: Expected = {"error": "KeyRefused"}
ADDRESS: Expected = {"error": "WrongBaseUrl"}
NOT_EXIST: Expected = {"error": "TaskNotExist"}
SENSITIVE = "OutputVideoSensitiveContentDetected"

_GATEWAY: dict[str, Expected] = {
    "upstream_error": REFUSED | {"words": "role must be specified"},
    "upstream_401": {"words": "missing or invalid"},
    "upstream_429": {"words": "exceeded your current quota", "code": "insufficient_quota"},
    "upstream_451": REFUSED | {"words": "role must be specified"},
    "upstream_500": SERVER | {"words": "unexpected error"},
    "do_request_failed": SERVER | {"code": "do_request_failed"},
    "read_response_body_failed": SERVER | {"code": "read_response_body_failed"},
    "unmarshal_response_body_failed": SERVER | {"code": "unmarshal_response_body_failed"},
    "invalid_response": SERVER | {"code": "invalid_response"},
    "build_request_failed": SERVER | {"code": "build_request_failed"},
    "get_channel_failed": SERVER | {"code": "get_channel_failed"},
    "insufficient_user_quota": QUOTA | {"code": "insufficient_user_quota"},
    "model_price_error": REFUSED | {"code": "model_price_error"},
    "token_used_up": {"words": "该令牌额度已用尽"},
    "firewall_plain": REFUSED,
    "content_403": REFUSED | {"code": "content_policy_violation"},
}
"""Errors that a poll and a create may bring alike."""

RETRIEVES: dict[str, Expected] = {
    # How the object is written.
    **dict.fromkeys(
        (
            *("normal", "long_id", "completed_at_early", "completed_at_null", "model_differs"),
            *("uppercase", "provider_words", "gateway_words", "wrapped", "extra_fields"),
            *("progress_float", "progress_text", "progress_percent", "progress_null"),
            *("progress_absent", "progress_above", "progress_100_early"),
            *("goes_back", "wrong_content_type", "early_hints", "content_served"),
        ),
        COMPLETED,
    ),
    "progress_below": COMPLETED,
    "progress_falls": COMPLETED,
    "stuck": {"status": "in_progress"},
    "completed_without_url": WITHOUT_LINK,
    "completed_with_empty_url": WITHOUT_LINK,
    "video_url": WITHOUT_LINK,
    "unknown_status": {"status": "", "link": False},
    # How a render ends.
    **dict.fromkeys(("failed", "failed_at_100", "moderation"), FAILED),
    "error": {"status": "error", "link": False},
    "failed_because": FAILED | {"words": "the provider is busy"},
    "failed_with_code": FAILED | {"code": SENSITIVE, "words": "may contain sensitive"},
    "failed_with_code_only": FAILED | {"code": SENSITIVE},
    "failed_wrapped": FAILED | {"code": SENSITIVE, "words": "may contain sensitive"},
    "error_with_code": {"status": "error", "code": "InternalServiceError"},
    **{
        f"final_{word}": {"status": "", "link": False, "final": True}
        for word in ("expired", "cancelled", "canceled", "violation", "rejected")
    },
    "final_word_corrected": {"status": "", "final": True},
    # Where the link is.
    **dict.fromkeys(
        (
            *("link_in_metadata", "link_in_url", "link_in_content", "link_in_result_url"),
            *("link_in_data", "link_long", "link_with_blanks", "link_later"),
            *("success_done", "success_finished", "success_complete", "success_succeed"),
        ),
        COMPLETED,
    ),
    **dict.fromkeys(("link_nowhere_known", "link_of_another_scheme", "content_only"), WITHOUT_LINK),
    "success_without_link": {"status": "", "link": False},
    # What is no video.
    **dict.fromkeys(("wrapped_null", "no_status", "error_in_200", "html_in_200"), BROKEN),
    **dict.fromkeys(("html", "garbage", "empty", "json_list"), BROKEN),
    **dict.fromkeys(("task_not_exist",), NOT_EXIST),
    **dict.fromkeys(
        ("rate_limited", "rate_limited_retry_after", "rate_limited_date", "rate_limited_nonsense"),
        LIMITED,
    ),
    "key_refused": KEY,
    "key_forbidden": KEY,
    "quota": QUOTA,
    **{f"http_{status}": SERVER for status in (408, 500, 502, 503, 504, 524)},
    **dict.fromkeys(("error_text", "error_message", "error_nested"), SERVER),
    "http_404": ADDRESS,
    "html_403": ADDRESS,
    "redirect": ADDRESS,
    "model_not_found": {"error": "ModelUnavailable"},
    "invalid_request": REFUSED,
    **_GATEWAY,
    # Not a refused key: a firewall stands before the API.
    "firewall": {"error": "WrongBaseUrl"},
}

BOUGHT: Expected = {"status": "queued", "id": True}
UNKNOWN: Expected = {"outcome": "UNKNOWN"}
REJECTED: Expected = {"outcome": "REJECTED"}

CREATES: dict[str, Expected] = {
    **{
        f"create_{name}": BOUGHT
        for name in ("late", "uppercase", "only_task_id", "wrapped", "truncated_with_id")
    },
    "create_early_hints": BOUGHT,
    **{
        f"create_{name}": UNKNOWN
        for name in ("truncated", "garbled", "empty", "without_id", "id_in_data", "html")
    },
    **{f"create_http_{status}": UNKNOWN for status in (408, 500, 502, 503, 504, 524)},
    **{
        f"create_{name}": REJECTED
        for name in ("400", "404", "413", "415", "422", "500_invalid_request", "301")
    },
    "create_401": {"outcome": "KEY_REFUSED"},
    "create_402": {"outcome": "NO_QUOTA"},
    "create_403_quota": {"outcome": "NO_QUOTA"},
    "create_403_key": {"outcome": "KEY_REFUSED"},
    "create_429": {"outcome": "LIMITED"},
    "create_429_retry_after": {"outcome": "LIMITED"},
    "create_503_model_not_found": REJECTED,
    **{f"create_{name}": expected for name, expected in _GATEWAY.items()},
    "create_upstream_429": {"outcome": "LIMITED"},
    "create_insufficient_user_quota": {"outcome": "NO_QUOTA"},
    **{
        f"create_{name}": UNKNOWN
        for name in (
            *("upstream_500", "do_request_failed", "read_response_body_failed"),
            *("unmarshal_response_body_failed", "invalid_response"),
            # Nothing was sent upstream, by their names; nobody has seen that at CometAPI.
            *("build_request_failed", "get_channel_failed"),
        )
    },
    **{
        f"create_{name}": REJECTED
        for name in ("upstream_error", "upstream_451", "model_price_error", "firewall")
    },
    "create_firewall_plain": REJECTED,
    "create_content_403": REJECTED,
}

NO_REPLY = frozenset(
    {
        *("reset", "closed", "reset_mid_body", "truncated", "hang", "late", "trickle"),
        *("huge_body", "task_not_exist_at_first", "slow"),
        *("create_dropped", "create_closed", "create_stalled", "create_reset_mid_body"),
    }
)
"""Scenarios of time and of connections: there is no one reply to judge."""
