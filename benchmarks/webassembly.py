"""All test images through the WebAssembly of a model, in Chromium: which logits differ, how long an inference takes.

    python benchmarks/webassembly.py [MODEL.tflite]      # build/lenet5-int8.tflite on MNIST's 10,000 test images

Exit code 1 if a logit differs from the reference's. The time is that of this machine's Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import webassembly  # noqa: E402

from lenet_edge import datasets  # noqa: E402
from lenet_edge.formats import tflite  # noqa: E402
from lenet_edge.quantized.reference import quantize_images, run  # noqa: E402
from lenet_edge.report.page import compile_to_webassembly  # noqa: E402


def main() -> int:
    model = tflite.read(Path((sys.argv[1:] or ["build/lenet5-int8.tflite"])[0]))
    program = compile_to_webassembly(model)
    images = quantize_images(datasets.load_test("mnist").images)
    expected = run(model, images)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        logits, microseconds = webassembly.run(browser, program, images, expected.shape[1])
        print(f"{len(program):,} bytes of WebAssembly, Chromium {browser.version}")
        browser.close()
    differ = int((logits != expected).sum())
    print(f"{differ:,} of {expected.size:,} logits differ; an inference takes {microseconds:.0f} us (median)")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
