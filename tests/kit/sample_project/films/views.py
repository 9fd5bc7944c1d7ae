from django.db import transaction
from django.http import HttpResponse

from seedance_celery.shortcuts import generate_video

from .models import Film


@transaction.atomic
def order(request):
    """Take an order; its worker's part is nobody's to wait for."""
    film = Film.objects.create(title=request.GET["title"])
    film.video = generate_video(film.title, metadata={"film": film.pk}, store=True)
    film.save()
    return HttpResponse(film.pk)
