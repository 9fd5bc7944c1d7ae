from django.urls import path
from films.views import order

urlpatterns = [path("order/", order)]
