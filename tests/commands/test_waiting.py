"""`--wait` with a real worker: exit codes, lines, bars, interruptions."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import SiteFactory
from tests.harness.site import Site

from .processes import at_terminal, manage, rest_of, started

WAIT = ("seedance_generate", "A kite", "--wait")


@pytest.fixture(scope="module")
def site(new_shared_site: SiteFactory) -> Iterator[Site]:
    made = new_shared_site(broker="sqla", database="sqlite", results_in="none", speed=4)
    made.worker(pool="threads")
    yield made
    made.close()


def test_a_completed_video_ends_with_status_0(site: Site) -> None:
    done = manage(site.env, *WAIT)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "completed" in lines[-1]
    assert any("%  " in line for line in lines[:-1])
    assert len(set(lines)) == len(lines)
    assert "\x1b" not in done.stdout


def test_a_failed_video_ends_with_status_1(site: Site) -> None:
    done = manage(site.env, "seedance_generate", "A kite [failed]", "--wait", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["videos"][0]["status"] == "failed"


def test_a_video_that_still_runs_ends_with_status_3(site: Site) -> None:
    done = manage(site.env, "seedance_generate", "A kite [stuck]", "--wait-timeout", "1s")
    assert done.returncode == 3
    assert "The video has not ended yet" in done.stderr


def test_storing_is_waited_for(site: Site) -> None:
    done = manage(site.env, *WAIT, "--store", "--json")
    [video] = json.loads(done.stdout)["videos"]
    assert (site.folder / "media" / video["file"]).stat().st_size == video["file_size"]


def test_a_file_that_is_not_kept_ends_with_status_1(site: Site) -> None:
    done = manage(site.env, "seedance_generate", "A kite [file_huge_length]", "--wait", "--store")
    assert done.returncode == 1
    assert "completed (not stored:" in done.stdout


@pytest.mark.parametrize("arguments", [["--seconds", "99"], ["--seconds", "x"], ["--nonsense"]])
def test_a_wrong_argument_ends_with_status_2(site: Site, arguments: list[str]) -> None:
    assert manage(site.env, "seedance_generate", "A kite", *arguments).returncode == 2


def test_wrong_settings_end_with_status_2(site: Site) -> None:
    env = {**site.env, "TEST_SEEDANCE": '{"TIMEOUTS": 5}'}
    done = manage(env, "seedance_generate", "A kite")
    assert done.returncode == 2
    assert "Did you mean 'TIMEOUT'?" in done.stderr


def test_a_broker_that_is_away_fails_no_command(site: Site) -> None:
    env = {**site.env, "TEST_BROKER_URL": "redis://127.0.0.1:1/0"}
    assert manage(env, "seedance_generate", "A kite").returncode == 0


def test_the_exit_statuses_are_in_the_help(site: Site) -> None:
    for command in ("seedance_generate", "seedance_track"):
        told = manage(site.env, command, "--help").stdout
        assert "\n  3    a video still runs at the end of --wait-timeout\n" in told


def test_interrupting_the_wait_loses_nothing(site: Site) -> None:
    with started(site.env, "seedance_generate", "A kite [stuck]", "--wait") as process:
        assert process.stdout is not None
        assert "%  " in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        told = rest_of(process)
        assert process.returncode == 130, told
    assert "Interrupted; nothing is lost. Go on with: seedance_track " in told


def test_a_terminal_shows_a_bar(site: Site) -> None:
    code, drawn = at_terminal({**site.env, "TERM": "xterm", "COLUMNS": "150"}, *WAIT)
    assert code == 0
    assert "━" in drawn
    assert "\x1b[2K" in drawn
    assert "100%" in drawn
    table = drawn.rpartition("┏")[2]
    assert all(part in table for part in ("video", "took", "task_", "completed"))


def test_a_terminal_without_rich_shows_lines(site: Site, tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise ImportError('not installed')\n")
    path = os.pathsep.join([str(tmp_path), site.env["PYTHONPATH"]])
    code, drawn = at_terminal({**site.env, "TERM": "xterm", "PYTHONPATH": path}, *WAIT)
    assert code == 0
    assert "0%  creating  (" in drawn
    assert "━" not in drawn


def test_a_terminal_that_cannot_redraw_shows_lines(site: Site) -> None:
    code, drawn = at_terminal({**site.env, "TERM": "dumb"}, *WAIT)
    assert code == 0
    assert "━" not in drawn


def test_several_videos_are_watched_at_once(site: Site) -> None:
    pks = []
    for prompt in ("A kite", "A kite [failed]"):
        recorded = manage(site.env, "seedance_generate", prompt, "--json")
        pks.append(json.loads(recorded.stdout)["videos"][0]["pk"])
    done = manage(site.env, "seedance_track", *pks, "--wait")
    assert done.returncode == 1
    assert "1 of 2 videos did not complete: failed." in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[-2:]] == pks


def test_the_sweep_runs_until_a_signal_comes(site: Site) -> None:
    with started(site.env, "seedance_sweep", "--every", "0.2s", "--json") as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert all(set(line) == {"loops", "tasks", "pruned", "along"} for line in lines)
