"""The acceptance of the real API, run against the simulator over real HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from seedance_celery.acceptance import Access, Exit, Plan, accept
from seedance_celery.acceptance.differences import differences, simulated
from seedance_celery.acceptance.plan import PROMPT
from seedance_celery.management.commands import seedance_doctor
from seedance_celery.management.doctor import State
from seedance_celery.management.doctor.findings import Finding
from seedance_celery.simulator import SimulatorApp, SimulatorServer
from seedance_celery.simulator.account import ACCESS_TOKEN
from seedance_celery.simulator.files import kite
from tests.harness.waiting import wait_until

ROOT = Path(__file__).parents[2]
KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(SimulatorApp(speed=20)) as running:
        yield running


class Run:
    """One acceptance: what it said, how it ended and what it kept."""

    def __init__(self, server: SimulatorServer, keep: Path, **options: Any) -> None:
        said: list[str] = []
        plan = options.pop("plan", Plan())
        access = Access(options.pop("key", KEY), server.url, options.pop("token", ""))
        options = {"is_agreed": True, "interval": 0.05, **options}
        self.ending = accept(access, plan, said.append, keep=keep, **options)
        self.said = "\n".join(said)
        self.files = sorted(keep.glob("*.json"))
        self.rows = {
            row["name"]: row for file in self.files for row in json.loads(file.read_text())
        }

    def fact(self, question: str) -> str:
        lines = [line.strip() for line in self.said.splitlines()]
        [answer] = [line for line in lines if line.startswith(f"{question}: ")]
        return answer.removeprefix(f"{question}: ")


def test_acceptance_buys_one_video_and_settles_what_was_open(
    server: SimulatorServer, tmp_path: Path
) -> None:
    run = Run(server, tmp_path / "kept", token=ACCESS_TOKEN, film=tmp_path / "film.mp4")
    assert (run.ending, server.app.charges, server.app.counts["create"]) == (Exit.DONE, 1, 1)
    assert "The simulator agrees." in run.said
    assert run.fact("the video").startswith("completed after ")
    assert run.fact("form of an id") == "task_ and 32 alphanumerics"
    assert run.fact("a wrong key").startswith("HTTP 401")
    assert run.fact("an unknown id") == "HTTP 400: task_not_exist / task_not_exist"
    assert run.fact("the link").startswith("on 127.0.0.1, signed by expires, signature; it lives ")
    assert run.fact("its host and ranges") == "a range is understood; the type is video/mp4"
    assert run.fact("Seedance tasks in the account's list").startswith("yes, under the id")
    assert run.fact("the create in the account's log").endswith("0.2000 US dollars")
    assert run.fact("the balance") == "the usage rose by 0.2000 US dollars"
    assert "doubao-seedance-2-0 0.05" in run.fact("prices for each second of output")
    assert (tmp_path / "film.mp4").read_bytes() == kite().start
    assert server.app.bearer_on_files == 0


def test_nothing_private_is_said_or_kept(server: SimulatorServer, tmp_path: Path) -> None:
    server.app.next("link_in_metadata", "extra_fields")
    run = Run(server, tmp_path, token=ACCESS_TOKEN)
    everything = run.said + "".join(file.read_text() for file in run.files)
    assert len(run.rows) >= 14
    for private in (KEY, ACCESS_TOKEN, PROMPT, "signature=", "/files/", "?expires"):
        assert private not in everything
    kept = "".join(file.read_text() for file in run.files)
    assert next(iter(server.app.videos)) not in kept


def test_what_the_real_api_has_otherwise_is_told(server: SimulatorServer, tmp_path: Path) -> None:
    server.app.next("link_in_metadata", "extra_fields")
    run = Run(server, tmp_path)
    assert run.ending is Exit.DIFFERS
    for words in (
        "poll completed: no field video_url, which the simulator sends",
        "poll completed: the field metadata.url (a text), unknown to the simulator",
        "poll queued: the field seed (a number), unknown to the simulator",
    ):
        assert words in run.said


def test_kept_answers_differ_from_the_simulator_in_status_type_and_kind() -> None:
    known = simulated()
    row = {**known["wrong id"], "http": 404, "type": "text/html", "body": {"code": 5}}
    assert list(differences([row], known)) == [
        "wrong id: HTTP 404, the simulator says 400",
        "wrong id: the type 'text/html', the simulator's is 'application/json'",
        "wrong id: code is a number, the simulator's a text",
        "wrong id: no field data, which the simulator sends",
        "wrong id: no field message, which the simulator sends",
    ]
    assert list(differences([{**row, "name": "poll paused", "http": 200}], known)) == [
        "poll paused: the simulator never answers so"
    ]
    assert {"content of a failed video", "poll failed", "file", "log"} <= set(known)


def test_video_that_fails_is_asked_for_its_reason(server: SimulatorServer, tmp_path: Path) -> None:
    server.app.next("moderation")
    run = Run(server, tmp_path)
    assert run.ending is Exit.DIFFERS
    assert run.fact("the video").startswith("failed after ")
    assert "VIOLATION" in run.fact("/content of a failed video")
    assert run.rows["content of a failed video"]["http"] == 400


@pytest.mark.parametrize("scenario", ["create_dropped", "create_http_502", "create_without_id"])
def test_create_without_a_reply_is_said_and_not_repeated(
    server: SimulatorServer, tmp_path: Path, scenario: str
) -> None:
    server.app.next(scenario)
    run = Run(server, tmp_path, token=ACCESS_TOKEN)
    assert (run.ending, server.app.counts["create"], server.app.charges) == (Exit.DIFFERS, 1, 1)
    assert "the video may be bought, or not. It is not bought again." in run.said
    assert f"The account's list holds: {next(iter(server.app.videos))}." in run.said
    assert server.app.counts["retrieve"] == 2


def test_video_that_was_bought_is_followed_without_buying(
    server: SimulatorServer, tmp_path: Path
) -> None:
    server.app.next("create_dropped")
    Run(server, tmp_path / "lost")
    [api_id] = server.app.videos
    run = Run(server, tmp_path / "found", plan=Plan(follow_id=api_id), is_agreed=False)
    assert (run.ending, server.app.charges) == (Exit.DONE, 1)
    assert run.fact("the video").startswith("completed after ")


def test_refused_key_buys_nothing(server: SimulatorServer, tmp_path: Path) -> None:
    run = Run(server, tmp_path, key="refused")
    assert (run.ending, server.app.counts["create"]) == (Exit.DIFFERS, 0)
    assert "Nothing was bought. The API refused the API key." in run.said


def test_refused_create_says_the_apis_words(server: SimulatorServer, tmp_path: Path) -> None:
    server.app.next("create_403_quota")
    run = Run(server, tmp_path)
    assert (run.ending, server.app.charges) == (Exit.DIFFERS, 0)
    assert "user quota is not enough" in run.said


def test_nothing_is_bought_without_consent(server: SimulatorServer, tmp_path: Path) -> None:
    run = Run(server, tmp_path, is_agreed=False)
    assert (run.ending, len(server.app.requests)) == (Exit.INVALID, 0)
    assert "about 0.20 US dollars" in run.said
    assert "--yes agrees" in run.said


def test_blips_of_polls_are_passed_over(server: SimulatorServer, tmp_path: Path) -> None:
    server.app.next("http_502")
    run = Run(server, tmp_path)
    assert run.ending is Exit.DONE
    assert run.rows["poll 502"]["http"] == 502


# In a process of its own.


def _started(server: SimulatorServer, keep: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "seedance_celery.acceptance", "--base-url", server.url]
    return subprocess.Popen(
        [*command, "--keep", str(keep), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COMETAPI_KEY": KEY, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )


def test_ctrl_c_says_how_to_follow_the_video(server: SimulatorServer, tmp_path: Path) -> None:
    server.app.next("stuck")
    with _started(server, tmp_path, "--yes") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("in_progress"):
                break
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert process.wait(60) == Exit.INTERRUPTED
    [api_id] = server.app.videos
    assert f"The video {api_id} is bought and goes on. Follow it by --follow {api_id}" in said
    assert "Traceback" not in said
    assert list(tmp_path.glob("*.json"))


def test_ctrl_c_in_the_create_leaves_it_unknown(server: SimulatorServer, tmp_path: Path) -> None:
    server.app.next("create_stalled")
    with _started(server, tmp_path, "--yes") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Buying"):
                break
        wait_until(lambda: server.app.charges)
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
        assert process.wait(60) == Exit.INTERRUPTED
    assert "may be bought, or not. It is not bought again." in said
    assert "Traceback" not in said


def test_shell_refuses_what_cannot_be_bought(server: SimulatorServer, tmp_path: Path) -> None:
    with _started(server, tmp_path, "--yes", "--seconds", "99") as process:
        said, _ = process.communicate(timeout=60)
    assert (process.returncode, server.app.charges) == (Exit.INVALID, 0)
    assert "Nothing was bought." in said


# From a Django project.


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """Replace the doctor's probes, which need a worker, by these."""
    found = [Finding("api", State.OK, "it is there")]
    monkeypatch.setattr(seedance_doctor, "diagnose", lambda live: iter(found))
    return found


def test_doctor_buys_on_an_accounts_key(
    server: SimulatorServer, tmp_path: Path, findings: list[Finding], capsys: Any
) -> None:
    accounts = {"other": {"API_KEY": KEY, "BASE_URL": server.url}}
    server.app.next("failed")
    with (
        override_settings(SEEDANCE={"ACCOUNTS": accounts, "API_KEY": "sk-default"}),
        pytest.raises(CommandError) as raised,
    ):
        call_command("seedance_doctor", buy=True, yes=True, account="other", keep=tmp_path)
    assert raised.value.returncode == Exit.DIFFERS
    [video] = server.app.videos.values()
    assert video.key == KEY
    assert "/content of a failed video: HTTP 400" in capsys.readouterr().out


def test_doctor_buys_nothing_where_a_part_failed_or_json_is_wanted(
    server: SimulatorServer, findings: list[Finding]
) -> None:
    settings = {"API_KEY": KEY, "BASE_URL": server.url}
    with override_settings(SEEDANCE=settings):
        with pytest.raises(CommandError, match="leave --json out"):
            call_command("seedance_doctor", buy=True, yes=True, json=True)
        findings.append(Finding("broker", State.FAILED, "it is away"))
        with pytest.raises(CommandError, match="1 of 2 lines"):
            call_command("seedance_doctor", buy=True, yes=True)
    assert server.app.charges == 0
