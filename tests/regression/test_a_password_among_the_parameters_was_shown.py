"""A password behind the question mark of a database's URL, as libpq allows it, stood in sweep.json and in messages."""

import re

import pytest
from sqlalchemy.engine import make_url

from lenet_edge.errors import BadInputError
from lenet_edge.sweep.storage import Storage, open_storage

SECRET = "s3cret/word"  # noqa: S105
URLS = [
    "postgresql+psycopg://me@127.0.0.1:1/db?password=s3cret/word",
    "postgresql+psycopg:///db?host=127.0.0.1&port=1&user=me&password=s3cret%2Fword",
    "postgresql+psycopg://me:other@127.0.0.1:1/db?sslpassword=s3cret%2Fword&connect_timeout=1",
]


@pytest.mark.parametrize("url", URLS)
def test_neither_in_the_record_nor_in_messages(url):
    storage = Storage(None, make_url(url), None)  # a record has its text
    assert re.search(r"password=\*\*\*(&|$)", storage.text)
    for form in (SECRET, "s3cret%2Fword"):
        assert storage.hide(f"connecting with {form} failed") == "connecting with *** failed"
    with pytest.raises(BadInputError) as caught:
        open_storage(url)
    assert "s3cret" not in f"{storage.text} {caught.value}"
