"""Copy the checkout but for the package, so that tests there can only import what is installed.

`python tests/harness/beside_wheel.py CHECKOUT` copies into the current directory; tox calls it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

LEFT_OUT = ("seedance_celery", "build", "dist")


def main(checkout: Path, target: Path) -> None:
    """Copy what is neither hidden nor left out."""
    for path in checkout.iterdir():
        if path.name in LEFT_OUT or path.name.startswith("."):
            continue
        if path.is_dir():
            shutil.copytree(path, target / path.name, dirs_exist_ok=True)
        else:
            shutil.copy(path, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path.cwd())
