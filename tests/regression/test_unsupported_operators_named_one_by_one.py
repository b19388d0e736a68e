"""Only the first operator that is not supported was named, so that a user met them one after the other."""

import flatbuffers
import pytest
import sample_models
from ai_edge_litert import schema_py_generated as schema

from lenet_edge.errors import BadInputError
from lenet_edge.formats.tflite import from_bytes, to_bytes

B = schema.BuiltinOperator


def with_operators(replaced, custom=None):
    """The sample's file with other operators at those places."""
    tree = schema.ModelT.InitFromPackedBuf(to_bytes(sample_models.every_layer()), 0)
    for place, builtin in replaced.items():
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.customCode = builtin, min(builtin, 127), custom
        tree.operatorCodes.append(code)
        tree.subgraphs[0].operators[place].opcodeIndex = len(tree.operatorCodes) - 1
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("replaced", "parts"),
    [
        (
            {0: B.QUANTIZE, 2: B.SHAPE, 3: B.STRIDED_SLICE, 4: B.PACK, 7: B.DEQUANTIZE},
            [
                "5 kinds of operators",
                "QUANTIZE (operator 0), SHAPE (operator 2), STRIDED_SLICE (operator 3), PACK (operator 4)",
                "DEQUANTIZE (operator 7)",
                "inference_input_type=tf.int8",
                "Input(shape, batch_size=1)",
            ],
        ),
        ({1: B.ADD, 5: B.ADD}, ["ADD (operators 1, 5)", "Models with branches are not supported"]),
        ({3: B.QUANTIZE}, ["QUANTIZE (operator 3)", "inside the model"]),
        ({3: B.MEAN}, ["MEAN (operator 3)", "AveragePooling2D over the whole map"]),
        (dict.fromkeys(range(8), B.EXP), ["EXP (operators 0, 1, 2, 3, 4 and 3 more)"]),
    ],
)
def test_all_are_named_with_the_way_out(replaced, parts):
    with pytest.raises(BadInputError) as caught:
        from_bytes(with_operators(replaced))
    assert [part for part in parts if part not in str(caught.value)] == []


def test_a_custom_operator_is_named_as_its_file_names_it():
    with pytest.raises(BadInputError, match=r"CUSTOM ethos-u \(operator 2\)"):
        from_bytes(with_operators({2: B.CUSTOM}, custom="ethos-u"))
