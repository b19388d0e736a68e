"""Models that others made, exported as C and run on this machine: TFLM's integers, in no more memory than TFLM's."""

from pathlib import Path

import numpy as np

from lenet_edge.engines import host_c, tflm
from lenet_edge.formats import c_source, tflite
from lenet_edge.records import write_artefact
from lenet_edge.resources import firmware_folder

IMAGES = 12  # of each model; half of them of the ends of int8


def images_of(model) -> np.ndarray:
    random, shape = np.random.default_rng(5), (IMAGES // 2, *model.input.shape)
    extreme = random.choice(np.array([-128, 127], np.int8), shape)
    return np.concatenate([random.integers(-128, 128, shape).astype(np.int8), extreme])


def exported(plan: c_source.Plan, folder: Path) -> Path:
    model = plan.model
    write_artefact(folder, c_source.export(plan, firmware_folder()), model.fingerprint, **c_source.facts(plan))
    return folder


def test_every_output_is_tflm_s_in_no_more_memory(shared, tmp_path):
    paths = sorted([*(shared / "models").glob("*.tflite"), *(shared / "cases" / "own").glob("*.tflite")])
    assert len(paths) >= 20
    for path in paths:
        model = tflite.read(path)
        plan, images = c_source.make_plan(model), images_of(model)
        found = host_c.run(exported(plan, tmp_path / path.stem), images)
        np.testing.assert_array_equal(found, tflm.run(path, images), err_msg=path.name)
        assert plan.workspace_bytes <= tflm.arena(path).head, path.name
