"""`sweep` took a database file that may not be written, or a server that was gone at the end, for a bug of its own."""

import pytest
import sqlalchemy
from click.testing import CliRunner
from optuna.exceptions import StorageInternalError

from lenet_edge.cli import cli
from lenet_edge.errors import BadInputError
from lenet_edge.preparation.request import PreparationRequest
from lenet_edge.sweep.plan import Plan
from lenet_edge.sweep.space import make_space
from lenet_edge.sweep.storage import open_storage
from lenet_edge.sweep.study import SweepStudy, open_study


@pytest.fixture
def plan(tmp_path):
    return Plan(make_space({}, {"seed": [0]}, tmp_path), "mnist", "0" * 64, PreparationRequest())


def test_a_file_that_may_not_be_written(plan, tmp_path):
    """To whoever may write everything, as root may, SQLite says the same of a connection that only reads."""
    storage = open_storage(f"sqlite:///{tmp_path}/a.db")
    sqlalchemy.event.listen(storage.optuna.engine, "connect", _only_read)
    storage.optuna.engine.dispose()
    with (
        pytest.raises(BadInputError, match=r"a\.db cannot be used: .*readonly.* may you write it"),
        storage.explaining(),
    ):
        open_study(storage, "s", plan, None)


def _only_read(connection, _record):
    connection.execute("PRAGMA query_only = ON")


@pytest.mark.parametrize("error", [sqlalchemy.exc.OperationalError, StorageInternalError])
def test_a_server_that_is_gone_at_the_end(error, plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    url = "sqlite:///a.db"
    open_study(open_storage(url), "s", plan, None)

    def gone(_study):
        raise error("SELECT", {}, Exception("closed")) if error is not StorageInternalError else error("closed")

    monkeypatch.setattr(SweepStudy, "standings", gone)
    done = CliRunner().invoke(cli, ["sweep", "--study", "s", "--storage", url, "--trials", "0"])
    assert (done.exception.exit_code, "sqlite:///a.db cannot be used: closed" in str(done.exception)) == (3, True)
