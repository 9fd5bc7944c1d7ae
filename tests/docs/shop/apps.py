"""The app `shop`."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Named as the guides name it."""

    name = "tests.docs.shop"
    label = "shop"
    default_auto_field = "django.db.models.BigAutoField"
