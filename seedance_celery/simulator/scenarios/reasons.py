"""How a render ends other than well: with a code, or in words of the upstream's own."""

from __future__ import annotations

from ..reply import Body
from .ark import ark_error
from .base import ABSENT, Call, Scenario, Step, body, merge

__all__ = ["REASON_SCENARIOS"]

_FINAL_WORDS = ("expired", "cancelled", "canceled", "violation", "rejected")


def _failed(data: Body, **changes: object) -> Body:
    """End a render that is over as failed, with `changes`."""
    if data["status"] != "completed":
        return data
    return merge(data, **{"status": "failed", "progress": 100, "video_url": ABSENT, **changes})


def _because(data: Body, call: Call) -> Body:
    return _failed(data, progress=0, fail_reason=call.value)


def _with_code(data: Body, call: Call) -> Body:
    return _failed(data, error=ark_error(call.value))


def _code_only(data: Body, call: Call) -> Body:
    return _failed(data, error={"code": call.value, "message": ""})


def _error_with_code(data: Body, call: Call) -> Body:
    return _failed(data, status="error", error=ark_error(call.value))


def _wrapped_with_code(data: Body, call: Call) -> Body:
    """Write a failure in the older envelope, where Ark's own object is the innermost."""
    if data["status"] != "completed":
        return data
    error = ark_error(call.value)
    inner = {
        "task_id": data["id"],
        "status": "FAILURE",
        "progress": "100%",
        "fail_reason": error["message"],
        "data": {"id": "cgt-20260829", "status": "failed", "error": error},
    }
    return {"code": "success", "message": "", "data": inner}


def _final(word: str) -> Step:
    return body(lambda data, call: _failed(data, status=word))


def _corrected(data: Body, call: Call) -> Body:
    return _failed(data, status=call.value)


_CODE = "OutputVideoSensitiveContentDetected"

REASON_SCENARIOS = (
    Scenario(
        name="failed_because",
        about="failed, and fail_reason is =words",
        retrieve=body(_because),
        value="the provider is busy",
    ),
    Scenario(
        name="failed_with_code",
        about=f"failed, and error has Ark's code ={_CODE} and its words",
        retrieve=body(_with_code),
        value=_CODE,
    ),
    Scenario(
        name="failed_with_code_only",
        about=f"failed, and error has Ark's code ={_CODE} and no words",
        retrieve=body(_code_only),
        value=_CODE,
    ),
    Scenario(
        name="failed_wrapped",
        about=f"failed in the older envelope, with Ark's code ={_CODE}",
        retrieve=body(_wrapped_with_code),
        value=_CODE,
    ),
    Scenario(
        name="error_with_code",
        about="an internal error, and error has Ark's code =InternalServiceError",
        retrieve=body(_error_with_code),
        value="InternalServiceError",
    ),
    *(
        Scenario(
            name=f"final_{word}",
            about=f"the upstream's last word leaks: {word}",
            retrieve=_final(word),
        )
        for word in _FINAL_WORDS
    ),
    Scenario(
        name="final_word_corrected",
        about="=expired for *times retrieves, then completed",
        retrieve=body(_corrected),
        value="expired",
        times=2,
    ),
)
