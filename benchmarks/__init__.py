"""Where the documentation's figures come from: `make bench`, or `python -m benchmarks`.

A benchmark is a module of this package with `main(arguments: list[str] | None = None)`; the first
line of its docstring describes it. `--quick` in its arguments asks for a short run.
"""
