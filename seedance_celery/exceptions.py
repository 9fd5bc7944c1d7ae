"""The one tree of errors. Choose by class, never by text.

Grouped by what the caller does next:

* `TransientError`: nothing is wrong with the video; ask again.
* `OutcomeUnknown`: a create may have bought a video; look before anything is bought again.
* `RequestRefused`: the API will not do this; asking again brings the same answer.
* `AccountError`: the key, the balance or the address is wrong; fix the configuration.
* `CanvasStopped`: what an errback gets. It is a `VideoEnded` (the video reached an end that is not
  `completed`) or a `StoreFailed` (the video is there, and its file could not be kept).
* `InvalidRequest`: refused by us, before any request.
* `DownloadError`: a finished file was not fetched; its three kinds say whether to ask for a new
  URL, to give up or to try again.

All data of an exception is in its positional arguments: Celery's JSON result backends keep
nothing else. No message holds a key or a signed URL; only a `CanvasStopped`'s holds words of the
API.
"""

from __future__ import annotations

__all__ = [
    "AccountError",
    "AddressRefused",
    "ApiError",
    "BrokenReply",
    "CanvasStopped",
    "ConnectFailed",
    "CreateRejected",
    "CreateUnknown",
    "DownloadChanged",
    "DownloadError",
    "DownloadInterrupted",
    "DownloadRefused",
    "FileTooLarge",
    "InvalidRequest",
    "KeyMissing",
    "KeyRefused",
    "ModelUnavailable",
    "NotAVideo",
    "OutcomeUnknown",
    "QuotaExceeded",
    "RateLimited",
    "ReplyLost",
    "RequestRefused",
    "SeedanceError",
    "ServerError",
    "StorageError",
    "StoreFailed",
    "TaskNotExist",
    "TransientError",
    "UrlExpired",
    "UrlOutdated",
    "VideoEnded",
    "VideoErrored",
    "VideoFailed",
    "VideoLost",
    "VideoTimedOut",
    "VideoUrlMissing",
    "WrongBaseUrl",
]


class SeedanceError(Exception):
    """Base of everything this package raises on purpose.

    Its text and its repr are our words; those of a `CanvasStopped` end with its `reason`.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class InvalidRequest(SeedanceError, ValueError):
    """An argument that the API would refuse; nothing was sent.

    `field` is the name of the argument (`"seconds"`, `"size"`, `"images"`, …).
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message, field)
        self.field = field

    def __str__(self) -> str:
        return str(self.args[0])


class ReplyDetails:
    """What a reply said beside the data of its error: for a row and a person to read.

    `body` is a redacted body that could not be read, `ids` what in it may be a video's id,
    `upstream_code` the code of an error that the gateway passed on. No repr shows any of it.
    """

    __slots__ = ("body", "ids", "upstream_code")

    def __init__(self, body: str = "", ids: tuple[str, ...] = (), upstream_code: str = "") -> None:
        self.body = body
        self.ids = ids
        self.upstream_code = upstream_code


class ApiError(SeedanceError):
    """A request to the API did not bring a video.

    `api_id` is the video asked for (empty for a create), `http_status` the HTTP status (0 when
    no reply came), `code` the API's own code, `request_id` what CometAPI's support asks for,
    `retry_after` the seconds the API asked to wait, or None, `reason` the API's own words,
    redacted and at most 300 characters: for a row or a person, not for a log.
    """

    details: ReplyDetails | None = None
    """What else the reply said, where it said more. It is no argument, so no message carries it."""

    def __init__(
        self,
        message: str,
        api_id: str = "",
        http_status: int = 0,
        code: str = "",
        request_id: str = "",
        retry_after: float | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(message, api_id, http_status, code, request_id, retry_after, reason)
        self.api_id = api_id
        self.http_status = http_status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class OutcomeUnknown(ApiError):
    """A create went out, and whether it bought a video is unknown: money may be spent.

    Only `Client.create` raises it, and it is no `TransientError`: a create that is sent again may
    be paid for twice. Look at the provider's dashboard first. `cause` is the name of the error
    class that left the outcome unknown, such as `"ReplyLost"`; that error is the `__cause__`.
    """

    def __init__(
        self,
        message: str,
        api_id: str = "",
        http_status: int = 0,
        code: str = "",
        request_id: str = "",
        retry_after: float | None = None,
        reason: str = "",
        cause: str = "",
    ) -> None:
        super().__init__(message, api_id, http_status, code, request_id, retry_after, reason)
        self.args = (*self.args, cause)
        self.cause = cause


class TransientError(ApiError):
    """A blip: nothing is wrong with the video. Ask again later.

    `Client.create` raises it only where nothing was bought, so a create may be sent again, too.
    """


class ConnectFailed(TransientError):
    """The request never went out whole: nothing was bought by it."""


class ReplyLost(TransientError):
    """The request went out and no whole reply came. Of a create: `OutcomeUnknown`."""


class ServerError(TransientError):
    """5xx or 408: the API could not answer. Of a create: `OutcomeUnknown`."""


class BrokenReply(TransientError):
    """A reply with a good status that is not a video: HTML, truncated, not JSON, an error in it.

    Of a create: `OutcomeUnknown`.
    """


class RateLimited(TransientError):
    """429. Wait `retry_after` seconds where the API said so. Nothing was bought."""


class RequestRefused(ApiError):
    """4xx and its kin: the API will not do this, nothing was bought."""


class TaskNotExist(RequestRefused):
    """`task_not_exist`: the id is unknown, belongs to another key, or is too new."""


class ModelUnavailable(RequestRefused):
    """503 `model_not_found`: no channel serves this model for this key."""


class AccountError(ApiError):
    """Something about the account stops every request on it: fix the configuration."""


class KeyMissing(AccountError):
    """No API key is configured; nothing was sent."""


class KeyRefused(AccountError):
    """401, or a 403 about the key."""


class QuotaExceeded(AccountError):
    """402, or a 403 about the balance: nothing was bought; polls still work."""


class WrongBaseUrl(AccountError):
    """A redirect, or a 4xx as HTML or problem+json: what answers is not the API."""


class CanvasStopped(SeedanceError):
    """A task of a canvas did not bring what it is for: the chain stops, and its errbacks get this.

    `api_id` is the API's id (empty when the create was never answered), `status` the row's
    status, `reason` why (in the API's words where it gave any), `video_pk` the row's pk as text,
    `code` the API's own code, such as `OutputVideoSensitiveContentDetected`, where it gave one.
    """

    def __init__(
        self,
        message: str,
        api_id: str = "",
        status: str = "",
        reason: str = "",
        video_pk: str = "",
        code: str = "",
    ) -> None:
        super().__init__(message, api_id, status, reason, video_pk, code)
        self.api_id = api_id
        self.status = status
        self.reason = reason
        self.video_pk = video_pk
        self.code = code

    def __str__(self) -> str:
        return str(self.args[0])


class VideoEnded(CanvasStopped):
    """A video ended otherwise than `completed`. A `StoreFailed` is none: that video is there."""


class VideoFailed(VideoEnded):
    """`failed`: the provider rejected the task."""


class VideoErrored(VideoEnded):
    """`error`: an internal error of the API prevented completion."""


class VideoUrlMissing(VideoErrored):
    """`completed` came without a link that can be used, and more polls brought none.

    The video was made. It is still asked for late, and `resume()` asks again at once.
    """


class CreateRejected(VideoEnded):
    """The create was refused: nothing was bought."""


class CreateUnknown(VideoEnded):
    """The create's reply was lost and nobody could say what became of it: money may be spent."""


class VideoTimedOut(VideoEnded):
    """A timeout passed: the video's own, or that of one `poll_video` alone (`timeout=`).

    After the video's own nobody waits for it any more. The render may still end, and is then
    collected late. After a task's own the video is followed on, and its row has not ended.
    """


class VideoLost(VideoEnded):
    """The API has never known this id."""


class StoreFailed(CanvasStopped):
    """The file could not be kept; the video itself stays as it is: `completed`, with its link.

    `status` is the video's, and `reason` says why the file could not be kept.
    """


class DownloadError(SeedanceError):
    """The file behind a signed URL was not fetched. No text of it holds the URL.

    `host` is the URL's host, `http_status` the HTTP status (0 when no reply came), `retry_after`
    the seconds the host asked to wait, or None.
    """

    def __init__(
        self,
        message: str,
        host: str = "",
        http_status: int = 0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, host, http_status, retry_after)
        self.host = host
        self.http_status = http_status
        self.retry_after = retry_after

    def __str__(self) -> str:
        return str(self.args[0])


class UrlExpired(DownloadError):
    """The host refuses the URL (400, 401, 403, 404, 410): retrieve the video for a new one.

    In the first minutes of a URL, or before its own expiry, the file may not be there yet: then
    try again for some minutes before that.
    """


class UrlOutdated(UrlExpired):
    """The host says in so many words that the URL has expired."""


class DownloadInterrupted(DownloadError):
    """The download broke off, took too long or met a busy host: try again later."""


class DownloadChanged(DownloadInterrupted):
    """Behind the URL is now another file than the one that was begun: start anew."""


class DownloadRefused(DownloadError):
    """Another attempt would end the same way, unless the file is not there yet."""


class NotAVideo(DownloadRefused):
    """What came is no MP4: an HTML, XML or JSON page, or something else."""


class FileTooLarge(DownloadRefused):
    """The file is larger than allowed."""


class AddressRefused(DownloadRefused):
    """The URL, or a redirect, leads where no download may go."""


class StorageError(SeedanceError):
    """The storage did not keep what it was given: try again later."""
