"""How a video is found, what an answer means for it, how it ends, and what a sweep sends again.

`targets` finds the row that a task is about, `decisions` says what an answer changes, `endings`
announces an end and lets go on what waited, `sweep` sends again what a crash has lost, and
`pruning` removes what nobody needs any more.
"""
