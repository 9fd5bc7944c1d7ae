"""Real brokers, databases and worker processes for the tests.

A `Site` bundles them; `tests/conftest.py` has the fixtures.
"""
