"""What the caller of a create may see of its error: what may have been bought is no blip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..exceptions import ApiError, InvalidRequest, OutcomeUnknown
from .errors import Outcome, create_outcome

__all__ = ["unknown_where_bought"]


@contextmanager
def unknown_where_bought() -> Iterator[None]:
    """Raise an error of the block as `OutcomeUnknown`, unless it proves that nothing was bought.

    The block sends one create and reads its reply. What is no `Exception` passes as it is: whoever
    presses Ctrl-C, or has set a greenlet's timeout, waits for exactly that.
    """
    try:
        yield
    except InvalidRequest:
        # An image turned out to be none while it was read: the request did not go out whole.
        raise
    except ApiError as error:
        if create_outcome(error) is not Outcome.UNKNOWN:
            raise
        raise _outcome_unknown(error, error) from error
    except Exception as error:  # a time limit, or a hook of what instruments the session
        raise _outcome_unknown(error, ApiError("")) from error


def _outcome_unknown(error: Exception, evidence: ApiError) -> OutcomeUnknown:
    cause = type(error).__name__
    http = f", HTTP {evidence.http_status}" if evidence.http_status else ""
    unknown = OutcomeUnknown(
        f"This create may have bought a video ({cause}{http}). Look at the provider's dashboard; "
        "sent again, it may be paid for twice.",
        http_status=evidence.http_status,
        code=evidence.code,
        request_id=evidence.request_id,
        # Without `retry_after`: there is no time at which it would be safe to ask again.
        reason=evidence.reason,
        cause=cause,
    )
    unknown.details = evidence.details
    return unknown
