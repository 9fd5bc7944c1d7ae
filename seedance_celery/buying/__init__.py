"""Buying a video, once: the order is a row, the right to POST is won, the outcome is recorded.

`orders` checks what is asked for, `create` sends it when it is its turn, and `outcomes` records
what came of it, however late that is known.
"""
