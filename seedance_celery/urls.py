"""The URLs of the status endpoint.

`path("videos/", include("seedance_celery.urls"))` puts it into a project.
"""

from __future__ import annotations

from django.urls import path

from . import views

__all__ = ["app_name", "urlpatterns"]

app_name = "seedance_celery"

urlpatterns = [
    path("", views.video_statuses, name="statuses"),
    path("<uuid:pk>/", views.video_status, name="status"),
]
