from django.db import models


class Film(models.Model):
    """What a customer ordered."""

    title = models.CharField(max_length=100)
    video = models.OneToOneField(
        "seedance_celery.Video", null=True, on_delete=models.PROTECT, related_name="film"
    )
    is_ready = models.BooleanField(default=False)
    is_refunded = models.BooleanField(default=False)
    file = models.CharField(max_length=200, blank=True)
    mails = models.PositiveIntegerField(default=0)

    def __str__(self):
        return self.title
