// The pad: one draws on it, and it shows the picture, the camera's frame or the example that the model sees.
import { Drawing } from "./drawing.mjs";

const SIDE = 320; // pixels of the longer side of a drawing
const MOST = 4096; // as le_prepare has it

/** The size of a drawing: the shape of the model's image where all of a frame is used, and what its crop lies in. */
export function padSize({ input: [height, width], crop }) {
    if (Array.isArray(crop)) {
        const [left, top, cropWidth, cropHeight] = crop;
        return [Math.max(SIDE, left + cropWidth), Math.max(SIDE, top + cropHeight)].map((side) => Math.min(side, MOST));
    }
    if (crop === "square") {
        return [SIDE, SIDE];
    }
    const scale = SIDE / Math.max(width, height);
    return [width, height].map((side) => Math.max(Math.round(scale * side), 16));
}

/** What of a frame the model looks at: left, top, width, height. */
function cropBox(crop, { width, height }) {
    if (Array.isArray(crop)) {
        return crop;
    }
    const side = Math.min(width, height);
    return crop === "square" ? [(width - side) >> 1, (height - side) >> 1, side, side] : [0, 0, width, height];
}

/** The pad's canvas. `onDraw` is called with the drawing whenever it has changed. */
export class Pad {
    constructor(canvas, model, onDraw) {
        this.canvas = canvas;
        this.crop = model.crop;
        this.drawing = new Drawing(...padSize(model));
        this.penWidth = Math.round(Math.max(this.drawing.width, this.drawing.height) / 13);
        this.onDraw = onDraw;
        this.isDrawing = true; // and does not show something else
        canvas.style.aspectRatio = `${this.drawing.width} / ${this.drawing.height}`;
        this.last = null; // where the pen was
        canvas.addEventListener("pointerdown", (event) => this.#begin(event));
        canvas.addEventListener("pointermove", (event) => this.#move(event));
        for (const end of ["pointerup", "pointercancel"]) {
            canvas.addEventListener(end, (event) => {
                this.last = event.isPrimary ? null : this.last; // another finger is not the pen
            });
        }
        this.#paint(this.drawing, true);
    }

    clear() {
        this.drawing.clear();
        this.#showDrawing();
    }

    swapInk() {
        [this.drawing.ink, this.drawing.paper] = [this.drawing.paper, this.drawing.ink];
        this.clear();
    }

    /** Shows a frame, {width, height, data}, instead of the drawing. */
    show(frame) {
        this.isDrawing = false;
        this.#paint(frame, true);
    }

    /** Shows an image as the model takes it, int8 [height, width, channels]. */
    showImage(image, [height, width, channels]) {
        const frame = { width, height, data: new Uint8ClampedArray(4 * width * height) };
        for (let pixel = 0; pixel < width * height; pixel++) {
            for (let channel = 0; channel < 3; channel++) {
                frame.data[4 * pixel + channel] = image[pixel * channels + (channels === 3 ? channel : 0)] + 128;
            }
            frame.data[4 * pixel + 3] = 255;
        }
        this.isDrawing = false;
        this.#paint(frame, false);
    }

    #showDrawing() {
        this.isDrawing = true;
        this.#paint(this.drawing, true);
        this.onDraw(this.drawing);
    }

    #paint(frame, isCropped) {
        const { canvas } = this;
        if (canvas.width !== frame.width || canvas.height !== frame.height) {
            [canvas.width, canvas.height] = [frame.width, frame.height];
        }
        const context = canvas.getContext("2d");
        context.putImageData(new ImageData(frame.data, frame.width, frame.height), 0, 0);
        if (isCropped) {
            shade(context, frame, cropBox(this.crop, frame));
        }
    }

    #begin(event) {
        if (!event.isPrimary || event.button !== 0) {
            return;
        }
        event.preventDefault(); // no selection of text
        if (!this.isDrawing) {
            this.drawing.clear();
            this.#showDrawing();
        }
        this.canvas.setPointerCapture(event.pointerId);
        this.last = this.#place(event);
        this.#stroke(event, this.last);
        this.#showDrawing();
    }

    #move(event) {
        if (this.last === null || !event.isPrimary) {
            return;
        }
        const between = event.getCoalescedEvents?.() ?? [];
        for (const each of between.length > 0 ? between : [event]) {
            this.#stroke(each, this.#place(each));
        }
        this.#showDrawing();
    }

    #stroke(event, to) {
        const pressure = event.pointerType === "pen" && event.pressure > 0 ? 0.5 + event.pressure : 1;
        this.drawing.stroke(this.last, to, (pressure * this.penWidth) / 2);
        this.last = to;
    }

    /** Where on the drawing a pointer is: the canvas may be larger or smaller on the screen. */
    #place(event) {
        const box = this.canvas.getBoundingClientRect();
        const across = (event.clientX - box.left) / box.width;
        const down = (event.clientY - box.top) / box.height;
        return [across * this.drawing.width, down * this.drawing.height];
    }
}

/** Dims what the model does not look at. */
function shade(context, frame, [left, top, width, height]) {
    context.fillStyle = "rgb(60 60 70 / 55%)";
    context.fillRect(0, 0, frame.width, top);
    context.fillRect(0, top + height, frame.width, frame.height - top - height);
    context.fillRect(0, top, left, height);
    context.fillRect(left + width, top, frame.width - left - width, height);
}
