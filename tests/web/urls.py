"""A site under a strict policy, as a project would wire it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import include, path
from django.views.static import serve

from seedance_celery.models import Video

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "media-src 'self' http://127.0.0.1:*",
        "form-action 'self'",
        "base-uri 'none'",
    ]
)

PAGE = """{% load seedance %}<!doctype html><html lang="en"><head><meta charset="utf-8">
<title>Videos</title><meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">{% seedance_assets %}</head>
<body><main><h1>Videos</h1>{% for video in videos %}{% seedance_progress video %}{% endfor %}
</main></body></html>"""


def strict(view: Callable[..., Any]) -> Callable[..., Any]:
    """Send the policy with every page of a view."""

    @functools.wraps(view)
    def with_policy(*args: Any, **kwargs: Any) -> Any:
        response = view(*args, **kwargs)
        response["Content-Security-Policy"] = POLICY
        return response

    return with_policy


@strict
def page(request: HttpRequest) -> HttpResponse:
    videos = Video.objects.with_now().filter(pk__in=request.GET.getlist("id"))
    template = engines["django"].from_string(PAGE)
    return HttpResponse(template.render({"videos": videos}, request))


def media(request: HttpRequest, path: str) -> Any:
    return serve(request, path, document_root=settings.MEDIA_ROOT)


def _strict_admin() -> Any:
    patterns, app_name, name = admin.site.urls
    for pattern in patterns:
        _make_strict(pattern)
    return patterns, app_name, name


def _make_strict(pattern: Any) -> None:
    for inner in getattr(pattern, "url_patterns", ()):
        _make_strict(inner)
    if hasattr(pattern, "callback") and pattern.callback:
        pattern.callback = strict(pattern.callback)


urlpatterns = [
    path("favicon.ico", lambda request: HttpResponse(content_type="image/x-icon")),
    path("page/", page),
    path("videos/", include("seedance_celery.urls")),
    path("open/", include(("seedance_celery.urls", "open")), {"signed_urls": True}),
    path("admin/", _strict_admin()),
    path("media/<path:path>", media),
]
