"""`data` of 300 classes whose pictures are all the same stopped with "a sheet takes 1 to 2,000 images, there are 0"."""

import numpy as np
import pytest
from PIL import Image


@pytest.mark.parametrize("classes", [3, 300])
def test_it_says_why(classes, tmp_path, call):
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    for number in range(classes):
        folder = tmp_path / "photos" / str(number)
        folder.mkdir(parents=True)
        picture.save(folder / "x.png")
    done = call("data", "photos")
    assert done.returncode == 1
    assert "images are in two classes (left out): 0/x.png = 1/x.png" in done.stdout
    assert "has 0 usable pictures" in done.stderr
    assert (tmp_path / "build/photos-data.png").exists()
