"""What an MP4 tells of itself by its boxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedance_celery.net.mp4 import BoxWalk, is_mp4

KINDS = (b"moov", b"mdat", b"free", b"uuid", b"udta")


def box(kind: bytes, content: bytes = b"", *, is_long: bool = False) -> bytes:
    if is_long:
        return (1).to_bytes(4, "big") + kind + (16 + len(content)).to_bytes(8, "big") + content
    return (8 + len(content)).to_bytes(4, "big") + kind + content


FTYP = box(b"ftyp", b"isom\0\0\0\0isommp42")
MOOV, MDAT = box(b"moov", b"m" * 40), box(b"mdat", b"d" * 90)
FILM = FTYP + MOOV + MDAT


def walked(*pieces: bytes) -> BoxWalk:
    walk = BoxWalk()
    for piece in pieces:
        walk.feed(piece)
    return walk


@st.composite
def films(draw: st.DrawFn) -> bytes:
    """Draw a whole MP4: `ftyp`, then `moov`, `mdat` and others in any order."""
    others = draw(st.lists(st.sampled_from(KINDS), max_size=3))
    kinds = draw(st.permutations([b"moov", b"mdat", *others]))
    boxes = [box(kind, draw(st.binary(max_size=40)), is_long=draw(st.booleans())) for kind in kinds]
    return FTYP + b"".join(boxes)


@st.composite
def trailing_bytes(draw: st.DrawFn) -> bytes:
    """Draw bytes that begin like no box that an MP4 has."""
    junk = draw(st.binary(max_size=60))
    kind = junk[4:8]
    return junk[:4] if kind in (*KINDS, b"moof", b"meta", b"mfra", b"free", b"skip") else junk


@given(films(), trailing_bytes(), st.integers(1, 20))
def test_whole_film_is_whole_with_whatever_bytes_behind_it(
    film: bytes, junk: bytes, step: int
) -> None:
    data = film + junk
    walk = walked(*(data[start : start + step] for start in range(0, len(data), step)))
    assert walk.is_film
    assert not walk.is_cut


@given(films(), st.data())
def test_film_that_lacks_its_last_box_or_a_part_of_it_is_none(
    film: bytes, data: st.DataObject
) -> None:
    walk, whole = BoxWalk(), 0
    for index in range(len(film)):
        walk.feed(film[index : index + 1])
        if walk.is_film:
            whole = index + 1
            break
    at = data.draw(st.integers(0, whole - 1))
    assert not walked(film[:at]).is_film


@pytest.mark.parametrize("at", [len(FTYP) + 9, len(FTYP + MOOV) + 8, len(FILM) - 1])
def test_end_within_a_box_is_a_cut(at: int) -> None:
    assert walked(FILM[:at]).is_cut


@pytest.mark.parametrize(
    ("tail", "is_cut"),
    [
        (b"JUNKJUNKJUNK", False),
        (b"\0" * 12, False),
        (b"\0\0", False),
        (b"\r\n", False),
        (b"\0\0\1\0free", True),
        (b"\0\0\1\0moof\0", True),
        (b"\0\0\1\0mdat", True),
        (b"\0\0\0\0mdat12345", False),
    ],
)
def test_bytes_behind_the_film(tail: bytes, is_cut: bool) -> None:
    assert walked(FILM + tail).is_cut is is_cut


@pytest.mark.parametrize("data", [FTYP, FTYP + MOOV, FTYP + MDAT, FTYP + MOOV + MDAT[:-1]])
def test_film_needs_its_index_and_its_pictures(data: bytes) -> None:
    assert not walked(data).is_film


def test_film_in_fragments_may_always_go_on() -> None:
    assert not walked(FTYP + MOOV + box(b"moof") + MDAT).is_film


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_no_bytes_break_the_walk(pieces: list[bytes]) -> None:
    walk = walked(*pieces)
    assert not (walk.is_cut and walk.is_film)


@pytest.mark.parametrize("head", [b"", FTYP[:11], b"\0\0\0\x18moov1234", b"<html>ftyp<ftyp>"])
def test_other_heads_are_no_mp4(head: bytes) -> None:
    assert not is_mp4(head)
