"""The errors of the gateway in front of the models, of its upstream, and of firewalls.

Each is one row: as a fault it answers all routes, given to a video its first retrieves, and with
`create_` before its name a create.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..reply import Reply, api_error, json_reply
from .ark import task_error, upstream_reply
from .base import Step, reply

__all__ = ["GATEWAY", "GatewayError"]


@dataclass(frozen=True)
class GatewayError:
    """One error. `bought` says whether a create that is answered so was bought."""

    name: str
    about: str
    step: Step
    value: str = ""
    bought: bool = False


def _row(name: str, about: str, answer: Reply, *, bought: bool = False) -> GatewayError:
    return GatewayError(name, about, reply(answer), bought=bought)


def _failed(code: str, about: str, message: str, status: int = 500, **more: bool) -> GatewayError:
    return _row(code, f"{status} {code}: {about}", task_error(code, message, status), **more)


_UPSTREAM = (
    GatewayError(
        "upstream_error",
        "fail_to_fetch_task, and in its message Ark's body with the code =InvalidParameter",
        lambda call: upstream_reply(call.value),
        value="InvalidParameter",
    ),
    _row(
        "upstream_401",
        "401 of the upstream, passed through: no incident of our key",
        upstream_reply("AuthenticationError"),
    ),
    _row(
        "upstream_429",
        "429 with the upstream's words and code, insufficient_quota",
        api_error(429, "You exceeded your current quota", code="insufficient_quota"),
    ),
    _row(
        "upstream_451",
        "451 fail_to_fetch_task: role must be specified for image contents",
        upstream_reply("InvalidParameter", 451),
    ),
    _row(
        "upstream_500",
        "500 fail_to_fetch_task: InternalServiceError",
        upstream_reply("InternalServiceError"),
        bought=True,
    ),
)

_GATEWAY = (
    _failed("do_request_failed", "the request may have left", "do request failed", bought=True),
    _failed(
        "read_response_body_failed",
        "the upstream's reply could not be read",
        "unexpected EOF",
        bought=True,
    ),
    _failed(
        "unmarshal_response_body_failed",
        "the upstream's reply was no JSON",
        "invalid character '<' looking for beginning of value",
        bought=True,
    ),
    _failed("invalid_response", "the upstream named no task", "task_id is empty", bought=True),
    _failed("build_request_failed", "nothing was sent upstream", "build request failed"),
    _failed("get_channel_failed", "nothing was sent upstream", "no channel is available"),
    _failed(
        "insufficient_user_quota",
        "the balance is spent",
        "user quota is not enough, remaining quota: $0.01",
        403,
    ),
    _failed("model_price_error", "the model has no price", "model price is not set", 400),
    _row(
        "token_used_up",
        "401: the quota of this one key is used up",
        json_reply(
            {
                "error": {
                    "code": "",
                    "message": "[sk-abc***xyz] 该令牌额度已用尽 !token.UnlimitedQuota",
                    "type": "new_api_error",
                }
            },
            401,
        ),
    ),
)

_PROBLEM = {
    "type": "https://developers.cloudflare.com/support/troubleshooting/http-status-codes/",
    "title": "Error 1020: Access denied",
    "status": 403,
    "detail": "You do not have permission to access this site.",
    "instance": "9d99a4434fz2d168",
    "error_code": 1020,
    "error_name": "access_denied",
    "error_category": "access_denied",
    "ray_id": "9d99a4434fz2d168",
    "retryable": False,
    "cloudflare_error": True,
}

_REFUSALS = (
    _row(
        "firewall",
        "403 of a firewall, as JSON with title, detail and error_code",
        json_reply(_PROBLEM, 403).with_header("Content-Type", "application/problem+json"),
    ),
    _row(
        "firewall_plain",
        "403 of a firewall, as JSON that says Forbidden and no more",
        json_reply({"message": "Forbidden"}, 403),
    ),
    _row(
        "content_403",
        "403 about content, whose words hold token and account",
        api_error(
            403,
            "The prompt was blocked: it holds a forbidden token about an account holder",
            code="content_policy_violation",
        ),
    ),
)

GATEWAY = (*_UPSTREAM, *_GATEWAY, *_REFUSALS)
