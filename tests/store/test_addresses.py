"""Where a download may go."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from seedance_celery.exceptions import AddressRefused, DownloadInterrupted
from seedance_celery.net.addresses import is_public
from seedance_celery.net.download import Download

from .conftest import Authority, Network, NewDownload
from .file_server import cut, file_server, mp4, redirect, whole
from .test_download import taken

VIDEO = mp4(5000)
PUBLIC, ALSO_PUBLIC = "93.184.216.34", "93.184.216.35"
URL = "http://files.example.com/a.mp4?sig=x"
# fmt: off
INNER = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.8.8.8",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "192.0.0.192", "192.0.2.1",
    "192.168.1.1", "192.88.99.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "100::1", "2001:db8::1", "2001:0:7f00:1::", "2002:7f00:1::",
    "2002:a9fe:a9fe::", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254",
    "fe80::1", "fec0::1", "ff02::1",
]
# fmt: on
# fmt: off
OUTER = [
    "1.1.1.1", "93.184.216.34", "2606:2800:220:1::1", "::ffff:1.1.1.1", "64:ff9b::101:101",
]
# fmt: on
# fmt: off
INNER_HOSTS = [
    "127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "[::]",
    "0", "169.254.169.254",
]
# fmt: on


@pytest.mark.parametrize("address", INNER)
def test_address_that_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    OUTER,
)
def test_public_address(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "host",
    INNER_HOSTS,
)
def test_url_into_this_machine_is_refused(
    network: Network, new_download: NewDownload, host: str
) -> None:
    with pytest.raises(AddressRefused):
        taken(new_download(f"http://{host}:80/a.mp4", allow_loopback=False))
    assert network.connected == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "fd00::1", "::1"])
def test_name_that_resolves_inside_is_refused(
    network: Network, new_download: NewDownload, address: str
) -> None:
    network.names["files.example.com"] = [[address]]
    with pytest.raises(AddressRefused):
        taken(new_download(URL, allow_loopback=False))
    assert network.connected == []


def test_loopback_is_allowed_to_the_simulator_and_nothing_else_private(
    network: Network, new_download: NewDownload
) -> None:
    for address in ("10.0.0.7", "169.254.169.254", "192.168.1.1"):
        network.names["files.example.com"] = [[address]]
        with pytest.raises(AddressRefused):
            taken(new_download(URL, allow_loopback=True))
    assert network.connected == []


def test_loopback_is_refused_by_default() -> None:
    with file_server(whole(VIDEO)) as server, pytest.raises(AddressRefused):
        taken(Download(server.url))
    assert server.requests == []


def test_name_that_changes_its_answer_leads_to_the_judged_address(
    network: Network, new_download: NewDownload
) -> None:
    network.names["files.example.com"] = [[PUBLIC], ["127.0.0.1"]]
    with file_server(whole(VIDEO)) as server:
        network.routes[PUBLIC] = server.port
        assert taken(new_download(URL, allow_loopback=False)) == VIDEO
    assert network.connected == [PUBLIC]
    assert network.lookups == ["files.example.com"]


def test_resumed_download_judges_the_new_answer(
    network: Network, new_download: NewDownload
) -> None:
    network.names["files.example.com"] = [[PUBLIC], ["127.0.0.1"]]
    with file_server(cut(VIDEO, 1000), whole(VIDEO)) as server:
        network.routes[PUBLIC] = server.port
        with pytest.raises(AddressRefused):
            taken(new_download(URL, allow_loopback=False))
    assert network.connected == [PUBLIC]


def test_inner_address_beside_a_public_one_is_never_tried(
    network: Network, new_download: NewDownload
) -> None:
    network.names["files.example.com"] = [["127.0.0.1", PUBLIC, "10.0.0.1", ALSO_PUBLIC]]
    with file_server(whole(VIDEO)) as server:
        network.routes[ALSO_PUBLIC] = server.port
        assert taken(new_download(URL, allow_loopback=False)) == VIDEO
    assert network.connected == [PUBLIC, ALSO_PUBLIC]


def test_pinned_connection_still_checks_the_name(
    network: Network, new_download: NewDownload, authority: Authority
) -> None:
    network.names |= {"files.example.com": [[PUBLIC]], "other.example.com": [[PUBLIC]]}
    url = URL.replace("http:", "https:")
    with file_server(whole(VIDEO), tls=authority.server) as server:
        network.routes[PUBLIC] = server.port
        download = new_download(url, allow_loopback=False, tls=authority.client)
        assert taken(download) == VIDEO
        assert server.requests[0].headers["host"] == "files.example.com"
        other = url.replace("files", "other")
        with pytest.raises(DownloadInterrupted, match="SSLCertVerificationError"):
            taken(new_download(other, allow_loopback=False, tls=authority.client))


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://inner.example.com/",
        "http://127.0.0.1:1/",
        "//127.0.0.1/",
        "http://[::ffff:169.254.169.254]/",
        "file:///etc/passwd",
        "ftp://files.example.com/",
        "http://[",
        "",
    ],
)
def test_redirect_inside_is_refused(
    network: Network, new_download: NewDownload, target: str
) -> None:
    network.names |= {"files.example.com": [[PUBLIC]], "inner.example.com": [["127.0.0.1"]]}
    with file_server(redirect(target)) as server:
        network.routes[PUBLIC] = server.port
        with pytest.raises(AddressRefused):
            taken(new_download(URL, allow_loopback=False))
    assert set(network.connected) == {PUBLIC}
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_to_a_public_host_is_followed(
    network: Network, new_download: NewDownload, status: int
) -> None:
    network.names |= {"files.example.com": [[PUBLIC]], "cdn.example.com": [[ALSO_PUBLIC]]}
    target = "http://cdn.example.com/b.mp4?sig=%2f%7e"
    with file_server(redirect(target, status), whole(VIDEO)) as server:
        network.routes |= {PUBLIC: server.port, ALSO_PUBLIC: server.port}
        assert taken(new_download(URL, allow_loopback=False)) == VIDEO
    assert server.requests[1].path == "/b.mp4?sig=%2f%7e"
    assert network.connected == [PUBLIC, ALSO_PUBLIC]


@pytest.mark.parametrize("target", ["/b%2f.mp4?x=%7e", "b%2f.mp4?x=%7e"])
def test_relative_redirect_is_followed(new_download: NewDownload, target: str) -> None:
    with file_server(redirect(target), whole(VIDEO)) as server:
        assert taken(new_download(f"{server.url}/a.mp4")) == VIDEO
    assert server.requests[1].path == "/b%2f.mp4?x=%7e"


def test_redirects_are_followed_only_a_few_times(new_download: NewDownload) -> None:
    with file_server(redirect("/again")) as server, pytest.raises(AddressRefused, match="many"):
        taken(new_download(server.url))
    assert len(server.requests) == 4


def test_redirect_never_leaves_https(new_download: NewDownload, authority: Authority) -> None:
    plain = file_server(whole(VIDEO))
    secure = file_server(redirect(plain.url), tls=authority.server)
    with plain, secure, pytest.raises(AddressRefused, match="https"):
        taken(new_download(secure.url, tls=authority.client))
    assert plain.requests == []


@pytest.mark.parametrize(
    "url", ["", "/a.mp4", "file:///etc/passwd", "http://", "http://a:b/", "http://[", "x" * 5000]
)
def test_what_is_no_web_address_is_refused(new_download: NewDownload, url: str) -> None:
    with pytest.raises(AddressRefused):
        taken(new_download(url))


@pytest.mark.parametrize("host", [f"{'a' * 64}.example.com", "a..example.com"])
def test_impossible_name_is_refused(new_download: NewDownload, host: str) -> None:
    with pytest.raises(AddressRefused):
        taken(new_download(f"http://{host}/"))


def test_name_without_an_address_is_tried_later(
    new_download: NewDownload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DownloadInterrupted):
        taken(new_download(URL))
