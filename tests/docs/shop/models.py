from django.db import models


class Order(models.Model):
    customer = models.ForeignKey("auth.User", models.CASCADE, null=True)
    prompt = models.TextField()
    api_id = models.CharField(max_length=255, blank=True)
    video = models.OneToOneField("seedance_celery.Video", models.PROTECT, null=True)
    published_at = models.DateTimeField(null=True)
    refunded_at = models.DateTimeField(null=True)
