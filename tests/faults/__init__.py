"""Faults caused for real: in processes, brokers, databases and the API."""
