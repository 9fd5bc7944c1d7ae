from celery import shared_task
from django.utils import timezone

from .models import Order


@shared_task
def publish(video, order_pk):
    Order.objects.filter(pk=order_pk, published_at=None).update(published_at=timezone.now())


@shared_task
def refund(order_pk):
    Order.objects.filter(pk=order_pk, refunded_at=None).update(refunded_at=timezone.now())
