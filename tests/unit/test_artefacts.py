"""Artefact folders: their files, and the manifest that names them."""

import hashlib
import json
import shutil

import pytest

from lenet_edge import __version__
from lenet_edge.records import read_manifest, write_artefact


def content_of(folder):
    """{relative path: bytes} of all files below the folder, hidden ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_artefact_has_a_manifest(tmp_path):
    manifest = write_artefact(tmp_path, {"b": b"2", "a": b"1"}, "f" * 64, arena=7)
    assert manifest.content() == {
        "arena": 7,
        "format": 1,
        "files": {"a": hashlib.sha256(b"1").hexdigest(), "b": hashlib.sha256(b"2").hexdigest()},
        "fingerprint": "f" * 64,
        "lenet_edge": __version__,
    }
    assert read_manifest(tmp_path) == manifest
    first = content_of(tmp_path)
    write_artefact(tmp_path, {"a": b"1", "b": b"2"}, "f" * 64, arena=7)
    assert content_of(tmp_path) == first


def test_stale_files_of_an_artefact_go_and_others_stay(tmp_path):
    (tmp_path / "mine").write_bytes(b"keep")
    write_artefact(tmp_path, {"a": b"1", "b": b"2"}, "f" * 64)
    write_artefact(tmp_path, {"b": b"3"}, "f" * 64)
    assert set(content_of(tmp_path)) == {"mine", "b", "manifest.json"}


def test_stale_files_in_a_subfolder_go_too(tmp_path):
    write_artefact(tmp_path, {"src/a.c": b"1", "src/b.S": b"2"}, "f" * 64)
    write_artefact(tmp_path, {"src/a.c": b"1"}, "f" * 64)
    assert [path.name for path in (tmp_path / "src").iterdir()] == ["a.c"]


def test_a_link_in_the_folder_leads_nothing_out(tmp_path):
    folder, outside = tmp_path / "artefact", tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"keep")
    write_artefact(folder, {"src/a": b"1"}, "f" * 64)
    shutil.rmtree(folder / "src")
    (folder / "src").symlink_to(outside)
    write_artefact(folder, {"b": b"2"}, "f" * 64)
    assert (outside / "a").read_bytes() == b"keep"


@pytest.mark.parametrize("name", ["../outside", "/outside", "sub/../../outside", "..", ".", "", "null\0"])
def test_a_manifest_cannot_delete_outside_its_folder(tmp_path, name):
    folder = tmp_path / "artefact"
    folder.mkdir()
    (tmp_path / "outside").write_bytes(b"keep")
    target = str(tmp_path / "outside") if name == "/outside" else name
    (folder / "earlier").write_bytes(b"to be removed")
    for listed in ("earlier", target):  # the first shows that such a manifest does delete
        files = {listed: hashlib.sha256(b"").hexdigest()}
        manifest = {"files": files, "fingerprint": "f" * 64, "lenet_edge": __version__}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        write_artefact(folder, {"a": b"1"}, "f" * 64)
    assert not (folder / "earlier").exists()
    assert (tmp_path / "outside").read_bytes() == b"keep"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"files": []}', b"\xff", b"{"])
def test_a_manifest_that_is_none(tmp_path, content):
    assert read_manifest(tmp_path) is None
    (tmp_path / "manifest.json").write_bytes(content)
    assert read_manifest(tmp_path) is None
    write_artefact(tmp_path, {"a": b"1"}, "f" * 64)
    assert set(content_of(tmp_path)) == {"a", "manifest.json"}
