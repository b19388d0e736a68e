"""A model's WebAssembly on many images, in a browser, without the page."""

from __future__ import annotations

import base64

import numpy as np
from playwright.sync_api import Browser

RUN = """async ([program, inputs, size, outputs]) => {
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const { instance: { exports } } = await WebAssembly.instantiate(bytes(program), {});
    const images = bytes(inputs);
    const count = images.length / size;
    const image = new Uint8Array(exports.memory.buffer, exports.le_page_image(), size);
    const logits = new Uint8Array(exports.memory.buffer, exports.le_page_logits(), outputs);
    const found = [];
    const milliseconds = [];
    for (let index = 0; index < count; index++) {
        image.set(images.subarray(index * size, (index + 1) * size));
        const started = performance.now();
        for (let again = 0; again < 10; again++) {
            exports.le_page_infer();
        }
        milliseconds.push((performance.now() - started) / 10);
        found.push(...logits);
    }
    milliseconds.sort((one, other) => one - other);
    return { logits: found, median: milliseconds[count >> 1] };
}"""


def run(browser: Browser, program: bytes, images: np.ndarray, outputs: int) -> tuple[np.ndarray, float]:
    """int8 logits [n, outputs], and the microseconds of an inference: the median over the images, of ten runs each."""
    page = browser.new_page()
    texts = [base64.b64encode(data).decode() for data in (program, images.tobytes())]
    found = page.evaluate(RUN, [*texts, images[0].size, outputs])
    page.close()
    logits = np.array(found["logits"], np.uint8).view(np.int8).reshape(len(images), outputs)
    return logits, 1000 * found["median"]
