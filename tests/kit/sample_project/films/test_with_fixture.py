"""For pytest: the same kit, as a fixture."""

import pytest

from films.orders import order_film


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def test_a_film_is_published(seedance):
    film = order_film("A kite")
    seedance.run_until_done()
    film.refresh_from_db()
    assert film.is_ready
    seedance.assert_nothing_raised()


@pytest.mark.parametrize("scenario", ["failed", "error", "create_403_quota"])
def test_a_video_that_does_not_come_is_refunded_once(seedance, scenario):
    seedance.next_video(scenario)
    film = order_film("A kite")
    seedance.run_until_done()
    film.refresh_from_db()
    assert film.is_refunded
    assert not film.is_ready


def test_with_real_commits(transactional_db, seedance):
    film = order_film("A kite")
    seedance.run_until_done()
    film.refresh_from_db()
    assert film.is_ready


@pytest.mark.seedance(http=True)
def test_over_http(seedance):
    film = order_film("A kite")
    seedance.run_until_done()
    film.refresh_from_db()
    assert film.is_ready
