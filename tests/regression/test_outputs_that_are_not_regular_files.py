"""`--out` put a file where a device, a pipe or a symbolic link had been; as root, `--out /dev/null` broke that."""

from __future__ import annotations

import json
import os
import stat
import threading

import pytest

from lenet_edge.errors import BadInputError
from lenet_edge.files import write_file, write_files
from lenet_edge.records import write_artefact

OLD, NEW = b"old", b"new"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_target_of_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").write_bytes(OLD)
    (tmp_path / "link").symlink_to("far/file")
    (tmp_path / "chain").symlink_to("link")
    write_file(tmp_path / "chain", NEW)
    assert (tmp_path / "far" / "file").read_bytes() == NEW
    assert (tmp_path / "chain").readlink().name == "link"
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path) == ["chain", "far", "link"]
    assert names(tmp_path / "far") == ["file"]


def test_what_a_dangling_link_leads_to_is_made(tmp_path):
    (tmp_path / "link").symlink_to("new/file")
    (tmp_path / "folder").symlink_to("elsewhere")
    write_file(tmp_path / "link", NEW)
    write_artefact(tmp_path / "folder", {"src/a": NEW}, "f" * 64)
    assert (tmp_path / "new" / "file").read_bytes() == NEW
    assert (tmp_path / "elsewhere" / "src" / "a").read_bytes() == NEW
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder").is_symlink()


def test_links_in_a_circle(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(BadInputError, match=r"cannot write .*symbolic links"):
        write_file(tmp_path / "a", NEW)
    assert names(tmp_path) == ["a", "b"]


def test_a_pipe_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    got = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    write_file(tmp_path / "pipe", NEW * 100_000)
    reader.join(20)
    assert got == [NEW * 100_000]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def device(folder, name, minor):
    """A device of one's own where one may make it, else a link to the system's, which is as good."""
    path = folder / name
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        path.open("wb").close()
    except PermissionError:
        path.unlink(missing_ok=True)
        path.symlink_to(f"/dev/{name}")
    return path


def test_a_device_stays_one(tmp_path):
    path = device(tmp_path, "null", 3)
    write_file(path, NEW)
    assert stat.S_ISCHR(path.stat().st_mode)
    assert names(tmp_path) == ["null"]


def test_a_device_that_is_full_leaves_the_other_files_as_they_were(tmp_path):
    (tmp_path / "a").write_bytes(OLD)
    path = device(tmp_path, "full", 7)
    with pytest.raises(BadInputError, match=r"cannot write .*/full: No space left"):
        write_files(tmp_path, {"a": NEW, "full": NEW})
    assert (tmp_path / "a").read_bytes() == OLD
    assert stat.S_ISCHR(path.stat().st_mode)
    assert names(tmp_path) == ["a", "full"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o755])
def test_permissions_are_kept(tmp_path, mode):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    path.chmod(mode)
    write_file(path, NEW)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (NEW, mode)


def test_long_names(tmp_path):
    for name in ("x" * 255, "数" * 85):
        write_file(tmp_path / name, NEW)
        assert (tmp_path / name).read_bytes() == NEW
    with pytest.raises(BadInputError, match="too long"):
        write_file(tmp_path / ("x" * 256), NEW)


def check(model, *outputs):
    return ["check", "--model", model, "--data", "noise", "--images", 1, "--engine", "tflm", *outputs]


def test_check_to_stdout_and_to_nowhere(start, model, tmp_path):
    shown = start(*check(model, "--out", "/dev/stdout", "--junit", "/dev/stdout"))
    assert shown.returncode == 1, shown.stderr  # no LiteRT engine ran
    assert b'"fingerprint"' in shown.stdout
    assert b"<testsuite" in shown.stdout
    assert b"NOT passed" in shown.stdout
    assert start(*check(model, "--out", "/dev/null")).returncode == 1
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert start(*check(model, "--out", "/dev/full")).returncode == 3


def test_stdout_is_a_file_and_named_as_one(start, model, tmp_path):
    """Renaming over it would leave what is printed afterwards in a file that nobody sees."""
    for out in ("/dev/stdout", "log"):
        (tmp_path / "log").write_bytes(b"")
        assert start(*check(model, "--out", out), redirect=">>log").returncode == 1
        assert b'"fingerprint"' in (tmp_path / "log").read_bytes()
        assert b"NOT passed" in (tmp_path / "log").read_bytes()


@pytest.mark.parametrize("option", ["--out", "--junit"])
def test_an_input_is_not_written_over(start, model, tmp_path, option):
    before = (tmp_path / model).read_bytes()
    (tmp_path / "link").symlink_to(model)
    for name in (model, f"./{model}", "link"):
        done = start(*check(model, option, name))
        assert done.returncode == 3
        assert b"is an input" in done.stderr
        assert (tmp_path / model).read_bytes() == before
    done = start("export", "--target", "tflite", "--model", model, "--out", ".")
    assert done.returncode == 3
    assert (tmp_path / model).read_bytes() == before
    both = start(*check(model, "--out", "x", "--junit", "x"))
    assert both.returncode == 3
    assert b"another output" in both.stderr


def test_json_of_any_name_can_be_written(tmp_path):
    from lenet_edge.files import to_json

    value = {"name": "\udcff\x7f\x9b\u202e", "plain": "ä数"}
    write_file(tmp_path / "a.json", to_json(value).encode("utf-8"))
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == value
    assert "ä数" in to_json(value)
