"""What is promised to work is what tox and the workflow run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


@pytest.fixture
def project(checkout: Path) -> dict[str, Any]:
    """The `[project]` table."""
    tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    with (checkout / "pyproject.toml").open("rb") as file:
        table: dict[str, Any] = tomllib.load(file)["project"]
    return table


def lower_bounds(requirements: list[str]) -> dict[str, str]:
    found = (re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)", text) for text in requirements)
    return {match[1]: match[2] for match in found if match}


def test_the_lowest_environment_has_the_lowest_versions(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    wanted = lower_bounds([*project["dependencies"], *extras["rich"], *extras["s3"]])
    pinned = dict(re.findall(r"^([\w-]+)==([\d.]+)$", (HERE / "lowest.txt").read_text(), re.M))
    for name, bound in wanted.items():
        assert (pinned[name] + ".").startswith(bound.removesuffix(".0") + "."), name


def test_every_python_and_django_that_is_classified_is_in_the_matrix(
    project: dict[str, Any], checkout: Path
) -> None:
    tox = (checkout / "tox.ini").read_text()
    env_list = tox.partition("env_list =")[2].partition("skip_missing")[0]
    for kind, prefix in (("Programming Language :: Python", "3"), ("Framework :: Django", "")):
        pattern = rf"{kind} :: ({prefix or '5|6'})\.(\d+)"
        versions = re.findall(pattern, "\n".join(project["classifiers"]))
        assert versions
        for major, minor in versions:
            assert f"{major}{minor}" in env_list


def test_actions_are_pinned_by_hash(checkout: Path) -> None:
    workflows = list((checkout / ".github" / "workflows").glob("*.yml"))
    assert workflows
    for workflow in workflows:
        used = re.findall(r"uses: (\S+)", workflow.read_text())
        assert all(re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", name) for name in used), used


def test_the_workflow_runs_what_tox_has(checkout: Path) -> None:
    pytest.importorskip("tox")
    listed = subprocess.run(
        [sys.executable, "-m", "tox", "list", "--no-desc"],
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.split()
    workflow = (checkout / ".github" / "workflows" / "test.yml").read_text()
    jobs = re.findall(r'python: "([\d.]+)", env: (\S+) ', workflow)
    assert sorted(env for _, env in jobs) == sorted(listed)
    for python, env in jobs:
        assert env == "lowest" or env.startswith("py" + python.replace(".", "") + "-")
