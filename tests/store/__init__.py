"""Keeping a file: downloads over real sockets into real storages."""
