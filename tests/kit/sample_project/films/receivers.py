from django.dispatch import receiver

from seedance_celery.signals import video_completed, video_created

from .models import Film
from .tasks import send_mail


@receiver(video_created)
def on_created(sender, video, **kwargs):
    if video.metadata:
        Film.objects.filter(pk=video.metadata["film"]).update(video=video)


@receiver(video_completed)
def on_completed(sender, video, **kwargs):
    film = Film.objects.filter(video=video).first()
    if film is not None:
        send_mail.delay(film.pk)
