"""Ctrl-C after hours of `train` said "what existed before is unchanged", and nothing of `--resume`."""

import importlib

import pytest

train = importlib.import_module("lenet_edge.cli.train")  # where its name is that of the command, too


@pytest.mark.parametrize("epochs_were_finished", [True, False])
def test_resume_is_named_where_it_would_go_on(epochs_were_finished, tmp_path, capsys):
    partial = tmp_path / "x.partial.safetensors"
    if epochs_were_finished:
        partial.write_bytes(b"an epoch")
    with pytest.raises(KeyboardInterrupt), train._saying_how_to_go_on(partial):
        raise KeyboardInterrupt
    told = " ".join(capsys.readouterr().err.split())
    assert ("the same command with --resume goes on" in told) is epochs_were_finished
