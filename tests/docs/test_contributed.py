from celery import chain

from seedance_celery.tasks import poll_video
from tests.project.tasks import keep, my_create


def order(tag: str) -> None:  # runs in the site's web process
    chain(my_create.s("A kite"), poll_video.s(), keep.s(tag=tag)).apply_async()


def test_a_chain_goes_on_when_the_pool_child_dies(new_site):
    site = new_site(broker="redis", database="postgres", proxied=["broker"])
    site.worker(pool="prefork", concurrency=2)
    site.trap("video_completed", "kill")
    site.call(order, "a")
    site.events.wait(event="task", name="keep", tag="a", timeout=60)
    assert site.events.count(event="task", name="keep", tag="a") == 1
