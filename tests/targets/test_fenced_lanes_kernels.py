"""The lanes' kernel of few connections touches nothing but its buffers, between the fences of test_fenced_kernels.py.

Its C is that of all processors without fast multiplication, its assembly that of Cortex-M.
"""

from __future__ import annotations

import fenced_cases
import workbench


def test_connected_tiles_stay_between_the_fences(tmp_path):
    workbench.need(fenced_cases.BOARD, "gcc", "qemu")
    cases = list(fenced_cases.connected(range(40_000, 40_040)))
    layers = [case.step.layer for case in cases]
    seen = [(layer.weights != 0).any(axis=(1, 2)) for layer in layers]
    assert len(cases) >= 20
    assert {layer.weights.shape[1] for layer in layers} == {1, 3, 5}
    assert sum((~each.any(axis=1)).any() for each in seen) >= 5  # an output that sees nothing
    assert any(each.all(axis=1).any() for each in seen)
    assert any(case.step.pool for case in cases)
    fenced_cases.write(cases, tmp_path, "cortex_m_base")
    code, said = fenced_cases.run(fenced_cases.build(tmp_path, "gcc", family="lanes"))
    assert [cases[index].name for index in said.get("failed case", []) + said.get("fault in case", [])] == [], said
    assert code == 0
    assert said["images"] == [fenced_cases.IMAGES * len(cases)]
