"""Run benchmarks: all of them, or those that are named.

`python -m benchmarks [NAME ...] [--quick] [OPTION ...]`; `python -m benchmarks list` shows what
there is. Other options go to the benchmark: `python -m benchmarks poll --help` shows its own.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT = 30 * 60
"""Seconds after which one of several benchmarks is ended."""


def main(arguments: list[str]) -> int:
    """Run what the command line names; return the exit code."""
    known = benchmarks()
    names = [name for name in arguments if name in known]
    rest = [argument for argument in arguments if argument not in known]
    if rest[:1] == ["list"]:
        show(known)
        return 0
    if rest[:1] and not rest[0].startswith("-"):
        print(f"There is no benchmark {rest[0]!r}. There are: {', '.join(known)}.")
        return 2
    if not names and set(rest) & {"-h", "--help"}:
        print(__doc__)
        show(known)
        return 0
    if len(names) == 1:
        return run_here(names[0], rest)
    failed = [name for name in names or known if run(name, rest)]
    if failed:
        print(f"\nNot well: {', '.join(failed)}")
    return 1 if failed else 0


def benchmarks() -> dict[str, str]:
    """Return what each benchmark of this folder is about, by its name. Imports none of them."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        module = ast.parse(path.read_text())
        functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
        if any(f.name == "main" and f.args.args for f in functions):
            found[path.stem] = (ast.get_docstring(module) or "").partition("\n")[0]
    return found


def show(known: dict[str, str]) -> None:
    """Print the benchmarks."""
    for name, about in known.items():
        print(f"{name:<16} {about}")


def run(name: str, options: list[str]) -> int:
    """Run one benchmark in a process of its own: each has its own settings."""
    print(f"\n== {name}", flush=True)
    command = [sys.executable, "-m", "benchmarks", name, *options]
    try:
        return subprocess.run(command, timeout=LIMIT, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"{name} did not end within {LIMIT // 60} minutes")
        return 1


def run_here(name: str, options: list[str]) -> int:
    """Run one benchmark in this process; say what it needs where that is absent."""
    try:
        return int(importlib.import_module(f"benchmarks.{name}").main(options) or 0)
    except pytest.skip.Exception as error:  # what the tests' harness raises
        print(f"skipped: {name} {error}")
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
