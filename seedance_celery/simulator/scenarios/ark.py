"""The error codes of the upstream, Volcengine Ark, and the bodies in which they arrive."""

from __future__ import annotations

import json

from ..reply import Body, Reply, json_reply

__all__ = ["ARK_CODES", "ark_error", "task_error", "upstream_reply"]

REQUEST_ID = "0217882536596960000000000000000ffffac15bc4a1b2c"
"""The upstream's own request id: unlike CometAPI's, it stands in no brackets and in no header."""

_SENSITIVE = "The request failed because the {} may contain sensitive information."
_LIMIT = "The request failed because the account has reached its limit of {}."

ARK_CODES: dict[str, tuple[int, str]] = {
    # What a create is refused with.
    "InputTextSensitiveContentDetected": (400, _SENSITIVE.format("input text")),
    "InputImageSensitiveContentDetected": (400, _SENSITIVE.format("input image")),
    "InputImageSensitiveContentDetected.PrivacyInformation": (
        400,
        "The request failed because the input image may contain a real person.",
    ),
    "InputImageSensitiveContentDetected.PolicyViolation": (
        400,
        "The request failed because the input image may be related to copyright restrictions.",
    ),
    "InvalidParameter": (400, "role must be specified for image contents."),
    "MissingParameter": (400, "The request is missing the required parameter: content."),
    "ModelNotOpen": (404, "The account has not activated the model."),
    "InvalidEndpoint.NotFound": (404, "The model or endpoint does not exist."),
    "AuthenticationError": (401, "The API key in the request is missing or invalid."),
    "AccountOverdueError": (403, "The account has an overdue balance."),
    "AccessDenied": (403, "The account may not use this resource."),
    "QuotaExceeded": (429, _LIMIT.format("tasks in the queue")),
    "RateLimitExceeded.EndpointRPMExceeded": (429, _LIMIT.format("requests per minute")),
    "ModelAccountRpmRateLimitExceeded": (429, _LIMIT.format("requests per minute for the model")),
    "ServerOverloaded": (429, "The service is overloaded. Please try again later."),
    "ModelLoadingError": (429, "The model is being loaded. Please try again later."),
    "InternalServiceError": (500, "The service encountered an unexpected error."),
    # What a task ends with.
    "OutputTextSensitiveContentDetected": (400, _SENSITIVE.format("output text")),
    "OutputImageSensitiveContentDetected": (400, _SENSITIVE.format("output image")),
    "OutputVideoSensitiveContentDetected": (400, _SENSITIVE.format("output video")),
    "OutputVideoSensitiveContentDetected.PolicyViolation": (
        400,
        "The request failed because the output video may be related to copyright restrictions.",
    ),
    "OutputAudioSensitiveContentDetected": (400, _SENSITIVE.format("output audio")),
}
"""The HTTP status and the words of each code, as Ark documents them or its users have seen them."""


def ark_error(code: str) -> Body:
    """Return Ark's error object, with the request id in its words; any code is taken."""
    _, words = ARK_CODES.get(code, (400, "The request failed."))
    return {"code": code, "message": f"{words} Request id: {REQUEST_ID}"}


def task_error(code: str, message: str, status: int) -> Reply:
    """Return the envelope in which the gateway reports that a task could not be reached."""
    return json_reply({"code": code, "message": message, "data": None}, status)


def upstream_reply(code: str, status: int | None = None) -> Reply:
    """Return the gateway's `fail_to_fetch_task`, which has Ark's body as a text in its message.

    The HTTP status is Ark's own unless another one is given.
    """
    error = {**ark_error(code), "param": "", "type": "BadRequest"}
    known, _ = ARK_CODES.get(code, (400, ""))
    return task_error("fail_to_fetch_task", json.dumps({"error": error}), status or known)
