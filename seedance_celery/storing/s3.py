"""Keep a file in an S3 bucket, through django-storages: the whole object or none.

Parts of a multipart upload are in nobody's sight until it is completed. Those of a process that
was killed stay so, and are billed, until the bucket's lifecycle rule
`AbortIncompleteMultipartUpload` removes them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

__all__ = ["save_to_bucket"]

logger = logging.getLogger(__name__)


def save_to_bucket(chunks: Iterable[bytes], storage: Any, name: str, max_length: int | None) -> str:
    """Upload a file in parts, one of them in memory, and return the name it got.

    `storage` is an `S3Storage`; its rules on names, encryption and access apply.
    """
    name = str(storage.get_available_name(name, max_length=max_length))
    file = storage.open(name, "wb")
    try:
        for chunk in chunks:
            file.write(chunk)
        file.close()
    except BaseException:
        _abort(file)
        raise
    return name


def _abort(file: Any) -> None:
    # To close the file would complete the upload, with what there is.
    if file._multipart is None:
        return
    file.file.close()
    try:
        file._multipart.abort()
    except Exception as error:  # noqa: BLE001  # boto's many; the error that led here counts
        logger.warning("An S3 upload could not be aborted: %s", type(error).__name__)
