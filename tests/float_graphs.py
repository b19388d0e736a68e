"""Small float networks as ONNX, for quantisers: bytes and the shape of an image."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper


class _Net:
    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, *shape: int) -> str:
        fan = np.prod(shape[1:]) if len(shape) > 1 else 16
        values = (self.random.normal(size=shape) * (1.5 / fan) ** 0.5).astype(np.float32)
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def node(self, operator: str, inputs: list[str], name: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def conv(self, x: str, name: str, shape: tuple[int, ...], relu: bool = True, **more: object) -> str:
        inputs = [x, self.constant(f"{name}_w", *shape), self.constant(f"{name}_b", shape[0])]
        made = self.node("Conv", inputs, name, **more)
        return self.node("Relu", [made], f"{name}_relu") if relu else made

    def dense(self, x: str, name: str, outputs: int, inputs: int, matmul: bool, relu: bool = True) -> str:
        weights, bias = self.constant(f"{name}_w", outputs, inputs), self.constant(f"{name}_b", outputs)
        if matmul:
            turned = numpy_helper.to_array(self.constants[-2]).T.copy()
            self.constants[-2] = numpy_helper.from_array(turned, weights)
            made = self.node("Add", [self.node("MatMul", [x, weights], f"{name}_product"), bias], name)
        else:
            made = self.node("Gemm", [x, weights, bias], name, transB=1)
        return self.node("Relu", [made], f"{name}_relu") if relu else made

    def finish(self, output: str, shape: tuple[int, ...]) -> tuple[bytes, tuple[int, ...]]:
        ends = [helper.make_tensor_value_info(name, 1, ["n", *of]) for name, of in (("image", shape), (output, (10,)))]
        graph = helper.make_graph(self.nodes, "net", ends[:1], ends[1:], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(), shape


def lenet5(*, matmul: bool = False) -> tuple[bytes, tuple[int, ...]]:
    """LeNet-5 with ReLU and maximum; its dense layers are Gemm, or MatMul and Add."""
    net = _Net()
    x = "image"
    for name, shape, pads in (("c1", (6, 1, 5, 5), [2] * 4), ("c3", (16, 6, 5, 5), [0] * 4)):
        x = net.conv(x, name, shape, pads=pads)
        x = net.node("MaxPool", [x], f"{name}_pool", kernel_shape=[2, 2], strides=[2, 2])
    x = net.node("Flatten", [x], "flat", axis=1)
    x = net.dense(net.dense(x, "f5", 120, 400, matmul), "f6", 84, 120, matmul)
    return net.finish(net.dense(x, "logits", 10, 84, matmul, relu=False), (1, 28, 28))


def residual() -> tuple[bytes, tuple[int, ...]]:
    """Two residual blocks, one of them with a depthwise convolution and strides, and a global mean."""
    net = _Net()
    x = net.conv("image", "c1", (16, 3, 3, 3), pads=[1] * 4)
    y = net.conv(net.conv(x, "c2", (16, 16, 3, 3), pads=[1] * 4), "c3", (16, 16, 3, 3), relu=False, pads=[1] * 4)
    x = net.node("Relu", [net.node("Add", [x, y], "sum1")], "sum1_relu")
    y = net.conv(x, "d1", (16, 1, 3, 3), pads=[1] * 4, strides=[2, 2], group=16)
    y = net.conv(y, "d2", (32, 16, 1, 1), relu=False)
    x = net.node("Add", [y, net.conv(x, "d3", (32, 16, 1, 1), relu=False, strides=[2, 2])], "sum2")
    x = net.node("GlobalAveragePool", [net.node("Relu", [x], "sum2_relu")], "mean")
    return net.finish(net.dense(net.node("Flatten", [x], "flat"), "logits", 10, 32, False, relu=False), (3, 16, 16))
