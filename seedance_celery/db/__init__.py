"""The database: its clock, the connections that are kept, leases, and retries while it is away.

What is here serves every model and knows none of them.
"""
