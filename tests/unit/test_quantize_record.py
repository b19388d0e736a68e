"""The report of `quantize` is read as data: what is missing, out of range or contradicts itself is refused."""

import json

import build_folders
import pytest
import sample_models

from lenet_edge.errors import BadInputError
from lenet_edge.records import read_quantize


@pytest.fixture
def path(tmp_path):
    names = [str(number) for number in range(10)]
    return build_folders.write(tmp_path / "build", sample_models.lenet5(3), names) / "net-int8.json"


def changed(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_what_quantize_leaves_is_read(path):
    content, record = json.loads(path.read_text()), read_quantize(path)
    assert record.int8_accuracy == content["int8_accuracy"]
    assert record.drop_interval == (0.1234567, 1.5)
    assert record.sqnr_db == content["sqnr_db"]
    assert record.proof.cases == content["proof"]["cases"]
    assert [layer.q_max for layer in record.proof.layers] == [301, 302, 303, 304, 305]
    assert record.confusion.images == 1000


def test_an_ordinary_model_has_no_proof_and_an_older_report_no_matrix(path):
    def change(content):
        content["proof"] = None
        del content["confusion"]

    record = read_quantize(changed(path, change))
    assert (record.proof, record.confusion) == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("fingerprint"),
        lambda content: content.pop("proof"),
        lambda content: content.update(int8_accuracy=1.5),
        lambda content: content.update(drop_interval=[2, 1]),
        lambda content: content.update(drop_interval=[1]),
        lambda content: content["sqnr_db"].update(C1="loud"),
        lambda content: content["proof"].update(passed=False),
        lambda content: content["proof"].update(disagreements=3),
        lambda content: content["proof"].update(cases=1),
        lambda content: content["proof"]["layers"][0]["disagreements"].update(tflm=-1),
        lambda content: content["proof"]["layers"][0]["disagreements"].update(tflm=1),
    ],
)
def test_what_cannot_be_is_refused(path, change):
    with pytest.raises(BadInputError, match="not a record of `lenet-edge quantize`"):
        read_quantize(changed(path, change))
