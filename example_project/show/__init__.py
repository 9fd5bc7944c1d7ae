"""What `demo.py` and `run.py` share: processes, and the demo's three videos."""
