from celery import chain

from seedance_celery.tasks import create_video, poll_video, store_video

from .models import Film
from .tasks import publish, refund


def order_film(title, **options):
    """Buy a film; what is paid for a video that does not come is given back."""
    film = Film.objects.create(title=title)
    give_back = refund.si(film.pk)
    chain(
        create_video.s(title, metadata={"film": film.pk}, **options).on_error(give_back),
        poll_video.s().on_error(give_back),
        store_video.s(),
        publish.s(film.pk),
    ).apply_async()
    return film
