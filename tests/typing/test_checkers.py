"""mypy and pyright accept typical uses of the package, and reject wrong ones, line by line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ACCEPTED, REJECTED = HERE / "accepted.py", HERE / "rejected.py"

pytest.importorskip("mypy")
pytest.importorskip("basedpyright")


def run(*command: str) -> str:
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.project.settings"}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=HERE.parents[1],
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy(tmp_path: Path) -> dict[str, dict[int, str]]:
    config = tmp_path / "mypy.ini"
    config.write_text(
        "[mypy]\nstrict = true\nplugins = mypy_django_plugin.main\npython_version = 3.12\n"
        "[mypy.plugins.django-stubs]\ndjango_settings_module = tests.project.settings\n"
    )
    cache = HERE.parents[1] / ".mypy_cache" / "typing"
    out = run("mypy", f"--config-file={config}", f"--cache-dir={cache}", str(HERE))
    found: dict[str, dict[int, str]] = {}
    for name, line, message in re.findall(r"(\w+)\.py:(\d+): error: (.*)", out):
        found.setdefault(name, {})[int(line)] = message
    return found


def pyright(tmp_path: Path) -> dict[str, dict[int, str]]:
    config = tmp_path / "pyrightconfig.json"
    options = {
        "include": [str(ACCEPTED), str(REJECTED)],
        "typeCheckingMode": "standard",
        "extraPaths": [str(HERE.parents[1])],
    }
    config.write_text(json.dumps(options))
    out = run("basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(config))
    found: dict[str, dict[int, str]] = {}
    for told in json.loads(out)["generalDiagnostics"]:
        if told["severity"] == "error":
            line = told["range"]["start"]["line"] + 1
            found.setdefault(Path(told["file"]).stem, {})[line] = told["message"]
    return found


@pytest.mark.parametrize("checker", [mypy, pyright], ids=lambda checker: checker.__name__)
def test_a_checker_accepts_what_is_right_and_rejects_what_is_wrong(
    checker: object, tmp_path: Path
) -> None:
    assert callable(checker)
    found = checker(tmp_path)
    assert found.get("accepted", {}) == {}
    lines = REJECTED.read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if "# wrong" in line}
    told = found.get("rejected", {})
    assert wrong - set(told) == set(), "accepted, although wrong"
    assert {line: told[line] for line in set(told) - wrong} == {}
