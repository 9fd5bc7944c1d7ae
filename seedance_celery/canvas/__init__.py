"""A task of somebody's canvas that waits for a video: written to a row, and continued once.

`keeping` writes the running task to its row, parks it, and continues its canvas when the video has
ended; `results` says what it returns or raises; `receivers` hears from Celery how it ended.
"""
