"""`export --target c --out .` in a CMake project replaced its CMakeLists.txt without a word, other targets README.md.

Only what an earlier export or build left, as its manifest lists it, is replaced.
"""

import pytest


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("export --target c", "CMakeLists.txt"),
        ("export --target c", "manifest.json"),
        ("export --target zephyr", "README.md"),
        ("export --target tflm", "main.cc"),
        ("build --board microbit", "firmware.bin"),
    ],
)
def test_a_file_of_the_project_stays(command, name, model, tmp_path, call):
    (tmp_path / "project").mkdir()
    own = tmp_path / "project" / name
    own.write_text('{"name": "a web page"}')
    done = call(*command.split(), "--model", model, "--out", "project")
    assert (done.returncode, done.stdout) == (3, "")
    assert f"project has its own {name}" in done.stderr
    assert "--out, such as project/model" in done.stderr
    assert [path.name for path in (tmp_path / "project").iterdir()] == [name]
    assert own.read_text() == '{"name": "a web page"}'


def test_what_was_exported_is_replaced_and_the_rest_stays(model, tmp_path, call):
    export = ("export", "--target", "c", "--model", model, "--out", "project")
    assert call(*export).returncode == 0
    (tmp_path / "project/own.c").write_text("own")
    (tmp_path / "project/le_model.c").write_text("edited, and listed in the manifest")
    assert call(*export, "--name", "other").returncode == 0
    left = {path.name for path in (tmp_path / "project").iterdir()}
    assert {"own.c", "other_model.c"} <= left
    assert "le_model.c" not in left


def test_a_file_with_the_name_of_a_new_one_stays(model, tmp_path, call):
    export = ("export", "--target", "c", "--model", model, "--out", "project")
    assert call(*export).returncode == 0
    (tmp_path / "project/other_model.c").write_text("own")
    done = call(*export, "--name", "other")
    assert done.returncode == 3
    assert "project has its own other_model.c" in done.stderr
    assert (tmp_path / "project/le_model.c").exists()


def test_an_export_whose_manifest_was_deleted_is_made_again(model, tmp_path, call):
    export = ("export", "--target", "c", "--model", model, "--out", "project")
    assert call(*export).returncode == 0
    (tmp_path / "project/manifest.json").unlink()
    assert call(*export).returncode == 0
