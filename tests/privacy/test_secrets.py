"""A real run, everything it left behind, and a search of that for the key, prompts, signatures.

Workers at DEBUG with events and results, every kind of end, every command, and the admin's pages.
Two hand-overs are the caller's own: `create_video` carries the prompt to the worker, and what
`poll_video` returns carries the signed URL to the next task and to the result backend.
"""

from __future__ import annotations

import dataclasses
import html
import json
import re
import uuid
from collections.abc import Iterator

import pytest

from tests.commands.processes import manage
from tests.conftest import SiteFactory
from tests.harness.driver import CallFailed
from tests.harness.services import REDIS
from tests.harness.site import Site
from tests.privacy import orders
from tests.privacy.tape import Message, Tape

KEY = f"sk-{uuid.uuid4().hex}"
PROMPT = f"A kite called {uuid.uuid4().hex}"
SCENARIOS = [
    *("normal", "failed", "moderation", "create_400", "create_dropped", "create_html"),
    *("create_closed", "http_503", "html", "completed_without_url"),
]
TROUBLE = ["create_402", "create_401", "create_429", "key_refused", "rate_limited"]
"""After these the key or its account is held back."""
NAMED = f"A boat called {uuid.uuid4().hex}"
"""The prompt of a create that is sent by its name alone."""
CREATE = "seedance_celery.tasks.create_video"
RESULTS_OF_POLLS = (
    "seedance_celery.tasks.poll_video",
    "seedance_celery.tasks.store_video",
    "tests.privacy.publish",
)
NEXT = RESULTS_OF_POLLS[1:]
"""The tasks after `poll_video`."""


@dataclasses.dataclass
class Run:
    """What one run has left."""

    site: Site
    messages: list[Message]
    signatures: list[str]
    stored: list[str]
    rows: str
    pages: dict[str, str]
    told: list[str]
    commands: list[str]
    logs: str


@pytest.fixture(scope="module")
def run(new_shared_site: SiteFactory) -> Run:
    tape = Tape(REDIS.address)
    site = new_shared_site(
        results_in="django-db",
        speed=4,
        seedance={"API_KEY": KEY, "CREATE_TIMEOUT": 3, "TIMEOUT": 20},
        celery={"task_send_sent_event": True, "result_extended": True, "task_track_started": True},
        env={"TEST_BROKER_URL": REDIS.url_through(tape.address)},
    )
    options = ("--task-events", "--include", "tests.privacy.tasks")
    site.worker(loglevel="DEBUG", options=options)
    site.worker(loglevel="DEBUG", options=options, pool="threads")
    site.call(orders.order, PROMPT, SCENARIOS)
    site.call(orders.by_name, NAMED)
    told = site.call(orders.refused, PROMPT, timeout=90)
    site.wait_until(lambda: site.simulator.app.charges >= 8, 60)
    site.workers[0].kill_child()
    site.wait_until(lambda: not site.call(orders.busy), 120, "all that ends has ended")
    site.call(orders.act)
    site.call(orders.order, PROMPT, TROUBLE)
    commands = list(_commands(site))
    site.wait_until(lambda: not site.call(orders.busy), 120, "all that ends has ended")
    site.stop_workers()
    tape.close()
    return Run(
        site=site,
        messages=tape.messages(),
        signatures=site.call(orders.secrets),
        stored=site.call(orders.results),
        rows=json.dumps(site.call(orders.rows)),
        pages=site.call(orders.pages),
        told=told,
        commands=commands,
        logs="\n".join(path.read_text() for path in sorted(site.folder.glob("*.log"))),
    )


def _commands(site: Site) -> Iterator[str]:
    api_id = next(iter(site.simulator.app.videos))
    for arguments in (
        ("seedance_generate", PROMPT, "--wait", "--json"),
        ("seedance_generate", PROMPT, "--seconds", "99"),
        ("seedance_track", api_id, "--json", "-v3"),
        ("seedance_sweep", "-v3"),
        ("seedance_doctor", "--live"),
        ("seedance_doctor", "--json"),
        ("check",),
    ):
        done = manage(site.env, *arguments)
        yield done.stdout + done.stderr


def where(text: str, secret: str) -> str:
    """Return what stands around a secret, "" where it is not there."""
    at = text.find(secret)
    return "" if at < 0 else text[max(0, at - 300) : at + 60]


WORD = PROMPT.rpartition(" ")[2]
OTHER = NAMED.rpartition(" ")[2]


def everything(run: Run) -> dict[str, str]:
    """Return all that was left, by kind."""
    return {
        "logs": run.logs,
        "messages": "\n".join(m.headers + m.body for m in run.messages),
        "results": "\n".join(run.stored),
        "rows": run.rows,
        "pages": html.unescape("\n".join(run.pages.values())),
        "exceptions": "\n".join(run.told),
        "commands": "\n".join(run.commands),
    }


def test_the_run_left_what_is_to_be_searched(run: Run) -> None:
    tasks = {message.task for message in run.messages}
    assert {CREATE, "", *NEXT, "seedance_celery.tasks.refresh_video"} <= tasks
    assert any('"task-received"' in message.body for message in run.messages)
    assert any("task-succeeded" in message.body for message in run.messages)
    assert len(run.signatures) > 5
    assert len(run.stored) > 10
    assert len(run.pages) > 40
    assert len(run.told) > 15
    assert all(len(text) > 200 for text in everything(run).values())


def test_the_key_is_nowhere(run: Run) -> None:
    found = {kind: where(text, KEY) for kind, text in everything(run).items()}
    assert not any(found.values()), found


@pytest.mark.parametrize("kind", ["logs", "results", "exceptions", "commands", "rows"])
def test_no_prompt_is_in(run: Run, kind: str) -> None:
    assert where(everything(run)[kind], WORD) == ""
    assert where(everything(run)[kind], OTHER) == ""


@pytest.mark.parametrize("kind", ["logs", "exceptions", "commands"])
def test_no_signature_is_in(run: Run, kind: str) -> None:
    text = everything(run)[kind]
    found = [where(text, signature) for signature in run.signatures]
    assert not any(found), next(filter(None, found))


def test_a_prompt_travels_only_in_the_arguments_of_create_video(run: Run) -> None:
    for message in run.messages:
        assert where(message.headers, WORD) == "", message.task
        if message.task != CREATE:
            assert where(message.body, WORD) == "", message.task
    assert any(WORD in message.body for message in run.messages)


def test_a_create_that_is_sent_by_its_name_shows_its_prompt_to_no_worker(run: Run) -> None:
    for message in run.messages:
        assert where(message.headers, OTHER) == "", message.task
        # The sender's own event is made before anything of ours is asked.
        if message.task != CREATE and '"task-sent"' not in message.body:
            assert where(message.body, OTHER) == "", message.body


def test_a_signature_travels_only_from_poll_video_to_the_next_task(run: Run) -> None:
    for message in run.messages:
        for signature in run.signatures:
            assert where(message.headers, signature) == "", message.task
            if message.task not in NEXT:
                assert where(message.body, signature) == "", message.task


def test_a_signature_is_stored_only_as_the_result_of_a_poll(run: Run) -> None:
    for row in run.stored:
        if any(signature in row for signature in run.signatures):
            assert any(repr(name) in row for name in RESULTS_OF_POLLS), row


def test_the_kept_rows_hold_neither(run: Run) -> None:
    kept = json.dumps(json.loads(run.rows)["kept"])
    assert where(kept, WORD) == ""
    assert not any(where(kept, signature) for signature in run.signatures)


def test_the_admin_shows_a_prompt_on_the_page_of_its_video_alone(run: Run) -> None:
    for path, page in run.pages.items():
        if not path.endswith("/change/"):
            assert where(page, WORD) == "", path


def test_the_admin_shows_a_signature_to_its_player_alone(run: Run) -> None:
    player = re.compile(r'(src|href|data-[a-z-]+)="[^"]*"')
    for path, page in run.pages.items():
        text = html.unescape(player.sub("", page))
        assert not any(where(text, signature) for signature in run.signatures), path


def test_what_fails_in_a_view_says_nothing_of_it(run: Run) -> None:
    with pytest.raises(CallFailed) as caught:
        run.site.call(orders.generate_video, PROMPT, seconds=99)
    assert WORD not in str(caught.value)
