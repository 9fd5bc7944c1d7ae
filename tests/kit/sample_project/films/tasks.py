from celery import shared_task
from django.db.models import F

from .models import Film


class MailServerAway(Exception):
    pass


@shared_task
def publish(result, film_pk):
    Film.objects.filter(pk=film_pk).update(is_ready=True, file=result["file"])


@shared_task
def refund(film_pk):
    Film.objects.filter(pk=film_pk).update(is_refunded=True)


@shared_task(bind=True, max_retries=10)
def send_mail(self, film_pk):
    """The mail server answers at the third try, ten minutes after the first."""
    if self.request.retries < 2:
        raise self.retry(countdown=300, exc=MailServerAway())
    Film.objects.filter(pk=film_pk).update(mails=F("mails") + 1)
