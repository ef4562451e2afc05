"""Addresses: which are refused, how paths are quoted, and who may see a secret."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onelight.errors import UnsafeData
from onelight.route import Credential, Route, check_url, is_loopback, origin_of, path_url, redact, resolve

SECRET = "canary-5d1f"


class TestAddresses:
    @pytest.mark.parametrize(
        "url",
        [
            "",
            "lab/x.npy",
            "/lab/x.npy",
            "//host/x",
            "http:///x",
            "https://",
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "file://host/share/x",
            "ftp://a.org/x",
            "gopher://a.org/x",
            "dict://a.org/x",
            "data:text/plain,hello",
            "javascript:alert(1)",
            "C:\\x",
            "C:/x",
            "https://user@a.org/x",
            f"https://user:{SECRET}@a.org/x",
            "https://a.org@evil.org/x",
            "https://a.org/x y",
            "https://a.org/x\r\nX-Injected: 1",
            "https://a.org/\0",
            "https://a.org/\x7f",
            "https://a.org:port/x",
            "https://a.org:99999/x",
            "https://[::1/x",
        ],
    )
    def test_what_is_no_plain_web_address_is_refused(self, url: str) -> None:
        """Row D5."""
        with pytest.raises(UnsafeData, match="is refused") as caught:
            check_url(url)
        assert SECRET not in str(caught.value)
        assert str(caught.value).isprintable()

    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "127.0.0.1",
            "127.8.9.10",
            "[::1]",
            "0.0.0.0",
            "[::]",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "[fe80::1]",
            "[fd00::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "2130706433",  # 127.0.0.1 as one number, which libcurl and browsers understand
            "0x7f000001",
            "0x7f.1",
            "127.1",
            "0177.0.0.1",
            "10.1",
            "\uff11\uff12\uff17.0.0.1",  # fullwidth digits, plain ones after IDNA
        ],
    )
    def test_an_index_cannot_point_into_a_private_network(self, host: str) -> None:
        """Row D5."""
        with pytest.raises(UnsafeData, match="private network"):
            check_url(f"http://{host}/x", trusted="https://a.org/data")

    @pytest.mark.parametrize(
        ("url", "trusted"),
        [
            ("https://a.org/x", ""),
            ("https://b.org:8443/x?y=z#w", "https://a.org"),
            ("http://93.184.216.34/x", "https://a.org"),
            ("http://[2606:4700::1111]/x", "https://a.org"),
            ("http://192.168.1.5/x", "http://192.168.1.5/data"),
            ("http://127.0.0.1:8001/x", "http://127.0.0.1:8000/data"),
            ("http://localhost:8001/x", "http://127.0.0.1:8000/data"),
            ("https://a.org/%23/caf%C3%A9", ""),
        ],
    )
    def test_public_addresses_and_those_of_the_repository_itself_are_let_through(self, url: str, trusted: str) -> None:
        check_url(url, trusted=trusted)

    def test_another_private_address_than_the_one_of_the_repository_is_refused(self) -> None:
        """Row D5."""
        with pytest.raises(UnsafeData):
            check_url("http://192.168.1.6/x", trusted="http://192.168.1.5/data")
        with pytest.raises(UnsafeData):
            check_url("http://127.0.0.1/x", trusted="http://192.168.1.5/data")

    @pytest.mark.parametrize(
        ("base", "address", "whole"),
        [
            ("https://a.org/data", "lab/x.npy", "https://a.org/data/lab/x.npy"),
            ("https://a.org/data/", "lab/x.npy", "https://a.org/data/lab/x.npy"),
            ("https://a.org/data", "/lab/x.npy", "https://a.org/lab/x.npy"),
            ("https://a.org/data", "https://b.org/x?token=1&y=%20", "https://b.org/x?token=1&y=%20"),
            ("https://a.org/data", "//b.org/x", "https://b.org/x"),
            ("https://a.org/data", "lab/#2024-05-06#/x.npy", "https://a.org/data/lab/%232024-05-06%23/x.npy"),
            ("https://a.org/data", "lab/%232024-05-06%23/x.npy", "https://a.org/data/lab/%232024-05-06%23/x.npy"),
            ("https://a.org/data", "lab/x y é.npy", "https://a.org/data/lab/x%20y%20%C3%A9.npy"),
        ],
    )
    def test_an_address_of_an_index_is_made_whole_and_quoted_once(self, base: str, address: str, whole: str) -> None:
        assert resolve(base, address) == whole

    @given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/")), min_size=1))
    def test_a_path_survives_being_part_of_an_address(self, parts: list[str]) -> None:
        path = "/".join(parts)
        url = path_url("https://a.org/data/", path)
        split = urlsplit(url)
        assert (split.netloc, split.query, split.fragment) == ("a.org", "", "")
        assert unquote(split.path) == f"/data/{path}"
        assert url.isascii()

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            (f"https://a.org/x?token={SECRET}", "https://a.org/x?…"),
            (f"https://me:{SECRET}@a.org/x", "https://a.org/x"),
            (f"https://me:p@{SECRET}@a.org/x?a=b?c", "https://a.org/x?…"),
            ("https://a.org/x@y", "https://a.org/x@y"),
        ],
    )
    def test_an_address_is_shown_without_secrets(self, url: str, shown: str) -> None:
        assert redact(url) == shown


class TestOrigins:
    @pytest.mark.parametrize(
        ("url", "origin"),
        [
            ("https://API.figshare.com/v2", "https://api.figshare.com:443"),
            ("http://a.org", "http://a.org:80"),
            ("HTTP://a.org:80/x", "http://a.org:80"),
            ("http://[::1]:8000/x", "http://[::1]:8000"),
        ],
    )
    def test_an_origin_is_scheme_host_and_port(self, url: str, origin: str) -> None:
        assert origin_of(url) == origin

    @pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.1.2.3", "::1"])
    def test_this_machine_is_recognised(self, host: str) -> None:
        assert is_loopback(host)

    @pytest.mark.parametrize("host", ["", "localhost.evil.org", "notlocalhost", "10.0.0.1", "127.0.0.1.evil.org"])
    def test_other_machines_are_not(self, host: str) -> None:
        assert not is_loopback(host)

    @pytest.mark.parametrize("origin", ["http://a.org:80", "http://192.168.1.5:80", "ftp://a.org", ""])
    def test_a_secret_does_not_travel_without_encryption(self, origin: str) -> None:
        with pytest.raises(UnsafeData, match="without encryption"):
            Credential(origin, header=SECRET)

    @pytest.mark.parametrize("origin", ["https://a.org:443", "http://127.0.0.1:8000", "http://[::1]:8000"])
    def test_a_secret_may_go_to_tls_and_to_this_machine_and_is_never_shown(self, origin: str) -> None:
        credential = Credential(origin, header=f"token {SECRET}", query=f"token={SECRET}")
        assert SECRET not in repr(credential)
        assert SECRET not in repr(Route("https://a.org/x", credential))
        assert SECRET not in f"{credential}"


class TestRoutes:
    def test_a_route_means_all_of_its_address_unless_it_says_which_bytes(self) -> None:
        whole, part = Route("https://a.org/x"), Route("https://a.org/x", span=(512, 700))
        assert whole.span is None
        assert part.span == (512, 700)
        assert len({whole, part, Route("https://a.org/x", None, (512, 701)), Route("https://a.org/x")}) == 3
