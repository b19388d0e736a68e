"""Where a study is stored: SQLite on this machine, or a database server that many machines share.

Everything that changes what a trial's state is happens while one holds the study's lock: on a server a lock on a row of
the study, which its end releases however the worker ends; for SQLite a lock on a file next to it. A row's lock is what
PostgreSQL and MySQL have. SQLite's own locks do not keep two workers from taking the same trial, since Optuna reads and
then writes, and over NFS none of these locks can be trusted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, quote_plus

from lenet_edge.errors import BadInputError, LenetEdgeError, MissingToolError, without_passwords

if TYPE_CHECKING:
    from optuna.storages import RDBStorage
    from sqlalchemy import URL

__all__ = ["Storage", "open_storage", "patiently", "require_optuna"]

Result = TypeVar("Result")

_PATIENCE_S = 60.0  # for a server that restarts
_LOCK_S = 120  # for a lock: whoever has it keeps it for less than a second, unless it is stopped
_LOCK_POLL_S = 0.02
_CONNECT_S = 10
_ATTEMPTS = 5  # to make the tables, which another worker may be making
_SECRET = ("password", "passwd", "sslpassword")  # parameters of a URL
_INSTALL = "Install with: pip install 'lenet-edge[sweep]'"


def require_optuna() -> None:
    """See, before the work, whether a study can be kept.

    Raises:
        MissingToolError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingToolError(f"a sweep is kept by Optuna, which cannot be imported ({error}). {_INSTALL}") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class Storage:
    """An open storage.

    Attributes:
        optuna: Optuna's.
        text: its URL, for messages and records: without password.
    """

    def __init__(self, optuna: RDBStorage, url: URL, lock_file: Path | None) -> None:
        self.optuna = optuna
        self.text = _shown(url)
        self.hide = _hider(url)
        self._lock_file = lock_file

    @contextmanager
    def locked(self, study_id: int) -> Iterator[None]:
        """Nobody else changes the states of the study's trials meanwhile.

        Raises:
            BadInputError: somebody else has held the lock for two minutes.
        """
        if self._lock_file is not None:
            with _file_locked(self._lock_file):
                yield
            return
        import sqlalchemy

        # Not the study's own row, which Optuna locks itself, in other transactions.
        rows = "SELECT study_id FROM study_directions WHERE study_id = :study ORDER BY objective FOR UPDATE"
        with self.optuna.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_S}s'")
            try:
                connection.execute(sqlalchemy.text(rows), {"study": study_id}).all()
            except sqlalchemy.exc.OperationalError as error:
                if "lock timeout" in str(error.orig):
                    raise _held_too_long(f"a lock in {self.text}", "") from None
                raise
            yield
            connection.rollback()

    def explained(self, error: Exception) -> LenetEdgeError:
        """What an error of the database means to the user, without its password."""
        return _explained(error, self.text, self.hide)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Errors of the database within are the user's to mend: a file that may not be written, a server that is gone.

        Raises:
            BadInputError: for each of them.
        """
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, StorageInternalError) as error:
            raise self.explained(error) from None


def open_storage(url: str) -> Storage:
    """The storage at a URL of SQLAlchemy's form; its tables are made where they are missing.

    Args:
        url: such as ``sqlite:///build/sweep/studies.db`` or ``postgresql+psycopg://user:password@host/database``.

    Raises:
        BadInputError: the URL is wrong, or the database cannot be reached or used.
        MissingToolError: the driver of such a database is not installed.
    """
    require_optuna()
    parsed = _parsed(url)
    text, hide = _shown(parsed), _hider(parsed)
    lock_file = None
    if parsed.get_backend_name() == "sqlite":
        database = _require_file(parsed)
        lock_file = database.with_name(f"{database.name}.lock")
    try:
        if lock_file is None:
            return Storage(_connected(parsed), parsed, None)
        with _file_locked(lock_file):
            return Storage(_connected(parsed), parsed, lock_file)
    except LenetEdgeError:
        raise
    except Exception as error:
        raise _explained(error, text, hide) from None  # its traceback may have the URL


def patiently(storage: Storage, do: Callable[[], Result], say: Callable[[str], None]) -> Result:
    """Do something with the database, and once more where it is gone for a while, as when a server restarts.

    Args:
        do: what can be done twice.
        say: called once with a line if it does not work at first.

    Raises:
        BadInputError: it still does not work after a minute.
    """
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    until, said = time.monotonic() + _PATIENCE_S, False
    while True:
        try:
            return do()
        except (SQLAlchemyError, StorageInternalError) as error:
            if time.monotonic() > until:
                raise storage.explained(error) from None
            if not said:
                say(f"{storage.explained(error)} Trying again for {_PATIENCE_S:.0f} s ...")
                said = True
            time.sleep(1)


# --- opening --------------------------------------------------------------------------------------


def _parsed(url: str) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise BadInputError(
            "--storage is not the URL of a database, such as sqlite:///build/sweep/studies.db or "
            "postgresql+psycopg://user:password@host/database (in a password, write @ : / as %40 %3A %2F)"
        ) from None
    return parsed


def _require_file(url: URL) -> Path:
    """The file of an SQLite database, in a folder that exists."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise BadInputError(
            f"--storage {_shown(url)} names no file: another worker, or this one later, "
            "would not find the study. Name one, such as sqlite:///build/sweep/studies.db"
        )
    try:
        path = Path(url.database).resolve()  # whoever comes by a link takes the same lock
        path.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a zero byte
        folder, reason = Path(url.database).parent, getattr(error, "strerror", None) or error
        raise BadInputError(f"cannot make the folder {folder} for the study: {reason}") from None
    return path


def _connected(url: URL) -> RDBStorage:
    """Optuna's storage. Two workers that make its tables at once hinder each other: then once more."""
    import sqlalchemy.exc
    from optuna.exceptions import ExperimentalWarning, StorageInternalError
    from optuna.storages import RDBStorage

    text = url.render_as_string(hide_password=False)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)
                # The interval is the study's, and set when that is known.
                return RDBStorage(text, _engine_settings(url), heartbeat_interval=1)
        except (sqlalchemy.exc.DatabaseError, StorageInternalError):
            if attempt == _ATTEMPTS:
                raise
            time.sleep(0.1 * attempt)
    raise AssertionError


def _engine_settings(url: URL) -> dict[str, Any]:
    """Heartbeats are compared with the server's clock, so that no session may have a time zone of its own."""
    backend = url.get_backend_name()
    settings: dict[str, Any] = {"pool_pre_ping": True}
    if backend == "sqlite":
        settings["connect_args"] = {"timeout": 60}
    if backend == "postgresql":
        settings["pool_events"] = [(_in_utc, "connect")]
        if "connect_timeout" not in url.query:
            settings["connect_args"] = {"connect_timeout": _CONNECT_S}
    return settings


def _in_utc(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("SET TIME ZONE 'UTC'")
    cursor.close()
    connection.commit()


@contextmanager
def _file_locked(path: Path) -> Iterator[None]:
    """Hold the lock, whose file then says who does.

    Raises:
        BadInputError: the file cannot be written, or somebody else has held the lock for `_LOCK_S`.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise BadInputError(f"cannot write {path}, the lock of the study: {error.strerror}") from None
    try:
        _lock(descriptor, path)
        with contextlib.suppress(OSError):  # a full disk: nobody needs it but for a message
            os.pwrite(descriptor, f"{os.getpid():<20}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    until = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
                raise _held_too_long(str(path), f" (process {holder})" if holder.isdigit() else "") from None
            time.sleep(_LOCK_POLL_S)
        else:
            return


def _held_too_long(what: str, holder: str) -> BadInputError:
    return BadInputError(
        f"another worker{holder} has held {what} for {_LOCK_S:g} s, where less than a second is usual: it was probably "
        "stopped (Ctrl-Z, SIGSTOP). Let it go on (fg, kill -CONT) or end it, then start this worker again"
    )


# --- errors ---------------------------------------------------------------------------------------


def _shown(url: URL) -> str:
    """A URL for messages and records: a password may also be one of the parameters after its question mark."""
    return without_passwords(url.render_as_string(hide_password=True))


def _hider(url: URL) -> Callable[[str], str]:
    """What takes the passwords out of a text, as the URL has them and as they are meant."""
    asked = [value for name in url.query if name.lower() in _SECRET for value in url.normalized_query[name]]
    passwords = [str(url.password or ""), *asked]
    forms = {form for each in passwords for form in (each, quote(each, safe=""), quote_plus(each)) if form}

    def hide(text: str) -> str:
        for form in sorted(forms, key=len, reverse=True):
            text = text.replace(form, "***")
        return without_passwords(text)

    return hide


def _explained(error: Exception, text: str, hide: Callable[[str], str]) -> LenetEdgeError:
    import sqlalchemy.exc

    while isinstance(error.__cause__, Exception) and not isinstance(error, sqlalchemy.exc.DBAPIError):
        error = error.__cause__  # Optuna wraps them
    if isinstance(error, ImportError):
        package = str(error.name or "").partition(".")[0]
        hint = _INSTALL if package == "psycopg" else f"Install with: pip install {package}"
        return MissingToolError(f"the driver {package} of {text} is not installed. {hint}")
    if isinstance(error, sqlalchemy.exc.NoSuchModuleError):
        return BadInputError(
            f"--storage {text}: there is no such kind of database; for PostgreSQL: postgresql+psycopg://"
        )
    reason = hide(" ".join(str(getattr(error, "orig", None) or error).split()))
    if "disk is full" in reason or "No space left" in reason or "could not extend file" in reason:
        return BadInputError(f"the storage {text} cannot be written: {reason}. The disk is full: free some space")
    hint = (
        "Does the file belong to Optuna, and may you write it?"
        if text.startswith("sqlite")
        else ("Does the server run, may this machine and user connect, and is the database there?")
    )
    return BadInputError(f"the storage {text} cannot be used: {reason}. {hint}")
