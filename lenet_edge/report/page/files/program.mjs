// The model's C in WebAssembly: firmware/webassembly/le_page.c says what it exports.
import { decoded } from "./numbers.mjs";

// le_prepare.h
const MOST_SIDE = 4096;
const OK = 0;
const SIZE = -1;
const CROP = -2;
const BLANK = -3;

const ROUNDS = 10;
const ROUND_MS = 4;
const PAUSE_MS = 50;

/** Why a frame gave no image; `isBlank` where it shows nothing, which is no fault. */
class NoImageError extends Error {
    constructor(code, frame, crop) {
        super(explanation(code, frame, crop));
        this.isBlank = code === BLANK;
    }
}

function explanation(code, frame, crop) {
    const size = `${frame.width} × ${frame.height}`;
    if (code === BLANK) {
        return "Nothing to see yet.";
    }
    if (code === CROP) {
        const [left, top, width, height] = crop;
        return `The model looks at ${width} × ${height} pixels at ${left}, ${top}: a frame of ${size} does not hold them.`;
    }
    if (code === SIZE) {
        return `A frame has 1 to ${MOST_SIDE} pixels a side, and this one ${size}.`;
    }
    return `le_prepare gave ${code}.`;
}

/** A compiled model. All of its memory is static, so that the views on it stay valid. */
export class Program {
    constructor(model, exports) {
        this.model = model;
        this.exports = exports;
        this.row = this.bytes(exports.le_page_row(), 4 * MOST_SIDE);
        this.image = this.values(exports.le_page_image(), product(model.input));
        this.logits = this.values(exports.le_page_logits(), model.output_values);
    }

    static async load(model) {
        const { instance } = await WebAssembly.instantiate(decoded(model.wasm), {});
        return new Program(model, instance.exports);
    }

    bytes(address, count) {
        return new Uint8Array(this.exports.memory.buffer, address, count);
    }

    values(address, count) {
        return new Int8Array(this.exports.memory.buffer, address, count);
    }

    /**
     * Makes the model's image of a frame, row by row as from a camera.
     * @param {{width: number, height: number, data: Uint8ClampedArray}} frame as a canvas has it, four bytes a pixel
     */
    prepare(frame) {
        const check = (code) => {
            if (code !== OK) {
                throw new NoImageError(code, frame, this.model.crop);
            }
        };
        if (Math.max(frame.width, frame.height) > MOST_SIDE) {
            check(SIZE);
        }
        check(this.exports.le_page_begin(frame.width, frame.height));
        const rowBytes = 4 * frame.width;
        for (let pass = this.exports.le_page_passes(); pass > 0; pass--) {
            for (let at = 0; at < rowBytes * frame.height; at += rowBytes) {
                this.row.set(frame.data.subarray(at, at + rowBytes));
                check(this.exports.le_page_take_row());
            }
        }
        check(this.exports.le_page_end());
    }

    /** The logits of the image, and the output of each step: they lie in memory that later steps use again. */
    run() {
        const outputs = this.model.steps.map((step, index) => {
            this.exports.le_page_step(index);
            const address = this.exports.le_page_output(index);
            return (address === 0 ? this.logits : this.values(address, product(step.output))).slice();
        });
        return { logits: this.logits.slice(), outputs };
    }

    /** Microseconds of an inference: of the fastest of some rounds, since the browser still compiles in the first. */
    async measure() {
        let fastest = Infinity;
        for (let round = 0; round < ROUNDS; round++) {
            await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
            fastest = Math.min(fastest, this.#timeRound());
        }
        return 1000 * fastest;
    }

    /** Milliseconds of an inference: the mean of as many as go into a round, which a browser's clock can tell. */
    #timeRound() {
        const started = performance.now();
        let runs = 0;
        let passed = 0;
        for (; passed < ROUND_MS; passed = performance.now() - started) {
            this.exports.le_page_infer();
            runs++;
        }
        return passed / runs;
    }
}

function product(sizes) {
    return sizes.reduce((total, size) => total * size, 1);
}
