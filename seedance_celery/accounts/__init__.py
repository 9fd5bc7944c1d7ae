"""What all workers know of a key: its client, its health, and what it may have and buy.

`health` is a circuit breaker over the database: a key that the API limits or refuses is held back
for every worker, and one request at a time finds out whether it works again. `limits` decides
whose turn it is to buy.
"""
