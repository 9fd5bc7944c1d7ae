from celery import shared_task
from django.utils import timezone

from seedance_celery.exceptions import CreateRejected, VideoFailed

from .models import Order


@shared_task
def publish(video, order_pk):
    Order.objects.filter(pk=order_pk, published_at=None).update(published_at=timezone.now())


@shared_task
def refund(request, exc, traceback, order_pk):
    if isinstance(exc, (CreateRejected, VideoFailed)):  # nothing was made, and nothing will be
        Order.objects.filter(pk=order_pk, refunded_at=None).update(refunded_at=timezone.now())
