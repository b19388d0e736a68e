"""A program as a byte stream, whatever it does; and the helpers that are compiled on this machine."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workbench import is_running, need_programs, receive

from lenet_edge.errors import BadInputError, LinkError, MissingToolError
from lenet_edge.hardware.emulators import process, qemu
from lenet_edge.hardware.emulators.process import ProcessStream


def python(code, *arguments):
    return ProcessStream([sys.executable, "-c", code, *arguments], install="python", what="the script")


# ---- the stream itself ----


def test_a_big_write_to_a_program_that_also_writes_much():
    """Both pipes are full: a side that only writes waits for ever."""
    data = random.Random(1).randbytes(3_000_000)
    code = "import os\nwhile data := os.read(0, 1000): os.write(1, data)"  # no buffer that would keep the end
    with python(code) as stream:
        stream.write(data)
        received, deadline = b"", time.monotonic() + 120
        while len(received) < len(data) and time.monotonic() < deadline:
            received += stream.read(5)
        assert received == data


def test_much_on_stderr_blocks_nobody_and_its_end_is_kept():
    code = "import sys; sys.stderr.write('noise\\n' * 200_000 + 'the end\\n'); print('done', flush=True); sys.exit(7)"
    with python(code) as stream:
        assert receive(stream, 5) == b"done\n"
        with pytest.raises(LinkError, match=r"the script ended with exit status 7.*the end$"):
            stream.read(5)
        assert len(stream._said) <= 4096


def test_wait_keeps_what_was_sent():
    with python("print('x' * 100_000, end='')") as stream:
        assert stream.wait(10) == 0
        assert receive(stream, 100_000) == b"x" * 100_000


def test_read_gives_up_in_time():
    with python("import time; time.sleep(60)") as stream:
        started = time.monotonic()
        assert stream.read(0.2) == b""
        assert stream.read(0) == b""
        assert 0.2 <= time.monotonic() - started < 2
        with pytest.raises(LinkError, match="did not end within"):
            stream.wait(0.1)


def test_a_write_that_nobody_takes_fails(monkeypatch):
    monkeypatch.setattr(process, "_STALL_S", 0.3)
    with python("import time; time.sleep(60)") as stream, pytest.raises(LinkError, match="took no byte"):
        stream.write(bytes(1_000_000))


def test_a_write_to_the_dead_names_the_signal():
    with python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)") as stream:
        stream.wait(10)
        with pytest.raises(LinkError, match="ended by signal 11"):
            stream.write(b"x")


def test_close_ends_what_ignores_the_polite_way(monkeypatch):
    monkeypatch.setattr(process, "_END_S", 0.3)
    stream = python("import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)")
    assert receive(stream, 3) == b"up\n"
    stream.close()
    stream.close()
    assert stream.wait(0) == -signal.SIGKILL
    for call in (lambda: stream.read(1), lambda: stream.write(b"x")):
        with pytest.raises(LinkError, match="has been closed"):
            call()


def test_what_is_not_closed_ends_with_the_interpreter():
    code = (
        "import sys; from lenet_edge.hardware.emulators.process import ProcessStream\n"
        "s = ProcessStream([sys.executable, '-c', 'import time; time.sleep(60)'], install='')\n"
        "print(s._process.pid)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert result.returncode == 0, result.stderr
    assert not is_running(int(result.stdout))


def test_ctrl_c_does_not_reach_it():
    with python("import time; time.sleep(60)") as stream:
        assert os.getsid(stream._process.pid) == stream._process.pid != os.getsid(0)


def test_a_missing_program_names_the_command_that_installs_it(monkeypatch, tmp_path):
    elf = tmp_path / "x.elf"
    elf.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="apt-get install qemu-system-arm"):
        qemu.start("arm", "mps2-an386", elf)
    with pytest.raises(MissingToolError, match="apt-get install qemu-system-misc"):
        qemu.start("riscv32", "sifive_e", elf)


# ---- compiling the helpers ----


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lenet-edge" / "tools"


def test_a_helper_is_compiled_once(cache, tmp_path, monkeypatch):
    need_programs("cc")
    monkeypatch.delenv("CC", raising=False)
    source = tmp_path / "tool.c"
    source.write_text("int main(void) { return 5; }\n")
    path = process.compiled(source, [])
    assert path.parent == cache
    assert subprocess.run([path]).returncode == 5
    before = path.stat().st_mtime_ns
    assert process.compiled(source, []) == path
    assert path.stat().st_mtime_ns == before
    source.write_text("int main(void) { return 6; }\n")
    assert process.compiled(source, []) != path
    assert len(list(cache.iterdir())) == 2  # nothing half-done is left


def test_two_processes_compile_at_once(cache):
    need_programs("cc")
    code = (
        "from pathlib import Path; from lenet_edge.hardware.emulators import process, qemu\n"
        "print(process.compiled(qemu._PLUGIN, ['-shared', '-fPIC']))"
    )
    argv = [sys.executable, "-c", code]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate(timeout=30)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert said[0] == said[1]
    assert [path.name for path in cache.iterdir()] == [Path(said[0].strip()).name]


def test_without_a_compiler(cache, monkeypatch, tmp_path):
    source = tmp_path / "tool.c"
    source.write_text("")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(MissingToolError, match=r"no C compiler.*apt-get install gcc"):
        process.compiled(source, [])
    monkeypatch.setenv("CC", "no-such-cc -m32")
    with pytest.raises(MissingToolError, match="no-such-cc of"):
        process.compiled(source, [])


def test_a_missing_header_names_the_package(cache, tmp_path):
    need_programs("cc")
    source = tmp_path / "tool.c"
    source.write_text("#include <no_such_library.h>\n")
    with pytest.raises(MissingToolError, match=r"no_such_library\.h.*apt-get install gcc libc6-dev libno-dev"):
        process.compiled(source, [], packages="libno-dev")


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    need_programs("cc")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    source = tmp_path / "tool.c"
    source.write_text("int main(void) { return 0; }\n")
    with pytest.raises(BadInputError, match="XDG_CACHE_HOME"):
        process.compiled(source, [])
