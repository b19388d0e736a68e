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
            {0: B.SVDF, 2: B.UNIDIRECTIONAL_SEQUENCE_LSTM, 3: B.HARD_SWISH, 4: B.RESIZE_BILINEAR, 7: B.ARG_MAX},
            [
                "5 kinds of operators",
                "SVDF (operator 0), UNIDIRECTIONAL_SEQUENCE_LSTM (operator 2), HARD_SWISH (operator 3)",
                "RESIZE_BILINEAR (operator 4), ARG_MAX (operator 7)",
                "SVDF keeps a state from one inference to the next",
                "A recurrent network keeps a state",
                "RELU6, LEAKY_RELU",
                "UpSampling2D",
                "choose the class from its outputs",
            ],
        ),
        ({1: B.DIV, 5: B.DIV}, ["DIV (operators 1, 5)", "Multiply by the reciprocal"]),
        ({3: B.RELU_N1_TO_1}, ["RELU_N1_TO_1 (operator 3)", "TFLM has RELU_N1_TO_1 only where"]),
        ({3: B.REDUCE_MAX}, ["REDUCE_MAX (operator 3)", "MEAN (global average pooling)"]),
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
