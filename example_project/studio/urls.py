"""The addresses of the project."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth import views as auth_views
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", include("gallery.urls")),
    path("login/", auth_views.LoginView.as_view(), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    path("videos/", include("seedance_celery.urls")),
    path("admin/", admin.site.urls),
    # Pages that name no icon, such as the admin's, are asked for this one.
    path("favicon.ico", RedirectView.as_view(url=static("gallery/kite.svg"))),
]
