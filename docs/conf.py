"""Sphinx: `make docs`."""

import seedance_celery

project = "seedance_celery"
author = "The seedance_celery developers"
copyright = f"2026, {author}"
version = release = seedance_celery.__version__
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "seedance_celery"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
nitpicky = True
