"""When and how the API is asked for a video: the loop, the batch pollers, and their countdowns.

`poll` is one step for one video, `loop` the message that carries it on, `batch` the same for many
videos in one task. `cadence` and `plans` choose the countdown from what earlier videos have shown
(`timings`), and `estimates` tells a page how far a video is.
"""
