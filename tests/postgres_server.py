"""A PostgreSQL server of Debian's package in a temporary folder, for as long as a test needs it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PASSWORD = "s3cret:p@ss/word"  # noqa: S105 - of that server, and with all that a URL must escape
PASSWORD_IN_URL = "s3cret%3Ap%40ss%2Fword"  # noqa: S105


def folder_of_programs() -> Path | None:
    """Where `initdb` and `postgres` are; Debian has them in a folder for each version, and not on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).resolve().parent if on_path else None


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The URL of a server's database. The server refuses to be root, so root starts it as another user."""
    programs = folder_of_programs()
    assert programs is not None
    folder = Path(tempfile.mkdtemp(prefix="lenet-edge-postgres-"))
    other: dict[str, object] = {}
    if os.geteuid() == 0:
        user = _unprivileged()
        os.chown(folder, user.pw_uid, user.pw_gid)
        other = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": folder}
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    data, port = folder / "data", _free_port()
    access = ["-A", "scram-sha-256", f"--pwfile={folder / 'password'}"]
    make = ["-D", data, "-U", "sweeper", "-N", *access, "-E", "UTF8", "--locale=C"]  # that of LANG may not be there
    server = None
    try:
        subprocess.run([programs / "initdb", *make], check=True, capture_output=True, **other)  # type: ignore[call-overload]
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": folder, "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen([programs / "postgres", "-D", data, *options], stderr=log, stdout=log, **other)  # type: ignore[call-overload]
        _wait_for(programs, port, folder / "log")
        yield f"postgresql+psycopg://sweeper:{PASSWORD_IN_URL}@127.0.0.1:{port}/postgres"
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # SIGTERM would wait for its clients
            server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("there is no user postgres or nobody")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(programs: Path, port: int, log: Path) -> None:
    ready = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
    for _ in range(600):
        if subprocess.run(ready, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace"))
