"""What the real API answered, where a person has run `make live`: parser and simulator agree.

Each file in `live/` holds the replies of one run in the form of `bodies.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seedance_celery.acceptance import Access, Plan, accept
from seedance_celery.acceptance.differences import differences, simulated
from seedance_celery.exceptions import ApiError
from seedance_celery.protocol import VideoTask, parse_created, parse_video
from seedance_celery.simulator import SimulatorApp, SimulatorServer

LIVE = Path(__file__).with_name("live")
FILES = sorted(LIVE.glob("*.json"))


def told(row: dict[str, Any]) -> dict[str, Any]:
    """Return what the parser makes of a kept reply."""
    text = json.dumps(row["body"]) if "body" in row else row["text"]
    headers = {"Content-Type": row["type"], **row["headers"]}
    try:
        if row["route"] == "create":
            task = parse_created(row["http"], headers, text.encode())
        else:
            task = parse_video(row["http"], headers, text.encode(), api_id="task_abc123")
    except ApiError as error:
        return {"error": type(error).__name__}
    return _of_video(task)


def _of_video(task: VideoTask) -> dict[str, Any]:
    return {"status": task.status, "url": task.video_url, "id": task.id}


def misread(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the replies of which the parser makes something else than is documented."""
    for row in rows:
        if row["route"] not in ("create", "retrieve") or not row["expect"]:
            continue
        found = told(row)
        if any(found.get(name) != value for name, value in row["expect"].items()):
            yield f"{row['name']}: {row['expect']}, and the parser reads {found}"


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_real_answers_are_read_and_simulated_as_they_are(file: Path) -> None:
    rows = json.loads(file.read_text(encoding="utf-8"))
    assert list(misread(rows)) == []
    assert list(differences(rows, simulated())) == []


def _kept(tmp_path: Path, *scenarios: str) -> list[dict[str, Any]]:
    app = SimulatorApp(speed=20)
    app.next(*scenarios)
    with SimulatorServer(app) as server:
        access = Access("simulator", server.url)
        accept(access, Plan(), lambda text: None, is_agreed=True, keep=tmp_path, interval=0.05)
    [file] = tmp_path.glob("*.json")
    return list(json.loads(file.read_text(encoding="utf-8")))


def test_answers_of_the_simulator_pass(tmp_path: Path) -> None:
    rows = _kept(tmp_path)
    assert list(misread(rows)) == []
    assert list(differences(rows, simulated())) == []


@pytest.mark.parametrize("scenario", ["unknown_status", "create_without_id", "video_url=ftp://x/y"])
def test_an_answer_that_nobody_documents_is_found(tmp_path: Path, scenario: str) -> None:
    rows = _kept(tmp_path, scenario)
    assert [*misread(rows), *differences(rows, simulated())]


def test_a_link_in_another_place_is_found(tmp_path: Path) -> None:
    assert list(differences(_kept(tmp_path, "link_in_url"), simulated()))
