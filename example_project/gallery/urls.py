"""The gallery's addresses."""

from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("", views.gallery, name="gallery"),
    path("films/<uuid:pk>/", views.film, name="film"),
    path("films/<uuid:pk>/again/", views.again, name="again"),
    path("films/<uuid:pk>/resume/", views.resume, name="resume"),
    path("media/<path:name>", views.media, name="media"),
]
