"""Which messages are copies of one, told from the messages alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedance_celery.canvas.uses import Use, mark, use_of

IN_CHAIN = {"id": "poll", "root_id": "first", "parent_id": "create", "args": ["task_1"]}
ROOT = {"id": "poll", "root_id": "poll", "parent_id": None, "args": ["task_1"]}


def use(name: str = "poll_video", **request: Any) -> Use:
    values = {"kwargs": {}, "chord": None, **request}
    return use_of(SimpleNamespace(name=name, request=SimpleNamespace(**values)))


@pytest.mark.parametrize(
    ("message", "other"),
    [
        (IN_CHAIN, {}),
        (IN_CHAIN, {"args": ["task_2"]}),
        (IN_CHAIN, {"kwargs": {"timeout": 60}}),
        (ROOT, {}),
        (ROOT, {"root_id": None}),
        (ROOT, {"parent_id": "poll"}),
        (ROOT, {"args": ("task_1",)}),
    ],
    ids=str,
)
def test_copies_of_one_message_have_one_key(message: dict[str, Any], other: Any) -> None:
    assert use(**message).key == use(**{**message, **other}).key


@pytest.mark.parametrize(
    ("message", "other"),
    [
        (IN_CHAIN, {"id": "another"}),
        (IN_CHAIN, {"root_id": "another"}),
        (IN_CHAIN, {"root_id": "poll"}),
        (IN_CHAIN, {"parent_id": "another"}),
        (IN_CHAIN, {"parent_id": None}),
        (IN_CHAIN, {"chord": {"task": "body"}}),
        (IN_CHAIN, {"name": "store_video"}),
        (ROOT, {"args": ["task_2"]}),
        (ROOT, {"kwargs": {"timeout": 60}}),
        (ROOT, {"root_id": None, "args": ["task_2"]}),
        (ROOT, {"chord": {"task": "body"}}),
    ],
    ids=str,
)
def test_other_uses_have_other_keys(message: dict[str, Any], other: Any) -> None:
    assert use(**message).key != use(**{**message, **other}).key


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "argument",
    [{1, 2}, object(), {("a", 1): 2}, deep(5000)],
    ids=("set", "object", "tuple keys", "deep"),
)
def test_arguments_that_are_no_json_count_as_one(argument: Any) -> None:
    assert use(**{**ROOT, "args": [argument]}) == use(**{**ROOT, "args": [{3}]})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON, JSON)
def test_any_argument_has_a_key_that_its_order_of_names_does_not_change(
    first: Any, second: Any
) -> None:
    one = {"a": first, "b": second}
    other = {"b": second, "a": first}
    assert use(**ROOT | {"kwargs": one}) == use(**ROOT | {"kwargs": other})
    assert len(use(**ROOT | {"args": [first]}).key) == 64


def test_what_is_sent_again_names_its_key_and_nothing_else_does() -> None:
    assert use(**ROOT | {"args": [mark("pk", "the-key")]}).keys == ("the-key",)
    for argument in ("the-key", {"video_pk": "pk"}, {**mark("pk", "k"), "id": "a"}, None):
        found = use(**ROOT | {"args": [argument]})
        assert not found.is_sent_again
        assert found.keys == (found.key, "poll")
