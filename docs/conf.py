"""Sphinx: `make docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import from_code

from_code.set_django_up()

import seedance_celery  # noqa: E402

project = "seedance_celery"
author = "The seedance_celery developers"
copyright = f"2026, {author}"
version = release = seedance_celery.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "seedance_docs"]
html_theme = "furo"
html_title = f"seedance_celery {release}"
html_copy_source = False
html_show_sphinx = False
smartquotes = False
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
exclude_patterns = ["_build"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
default_role = "code"

nitpicky = True
# Types of other packages. There is no link to them: a build needs no network.
nitpick_ignore_regex = [
    (r"py:.*", r"dict\[str|Image|VideoRef"),
    # The inside of the simulator.
    (r"py:.*", r"seedance_celery\.simulator\.(orders|reply|scenarios)\..*"),
    (r"py:.*", r"(celery|django|kombu|requests|collections|datetime|uuid|types|typing)(\..*)?"),
    (
        r"py:.*",
        r"(?:[\w.]*\.)?(Any|Callable|Container|Iterable|Iterator|Mapping|Sequence|TracebackType|Self)",
    ),
    (r"py:.*", r"(?:[\w.]*\.)?(Celery|HttpRequest|HttpResponseBase|Response|Task|DjangoTask)"),
]
