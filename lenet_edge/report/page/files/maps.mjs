// Tensors as pictures: each value is a square.
import { setText } from "./dom.mjs";
import { integer } from "./numbers.mjs";

const WIDTH = 560; // CSS pixels that a layer's maps take at most
const VECTOR_COLUMNS = 30;
const LARGEST_SQUARE = 8;
const TILE = 64; // CSS pixels of a map, where its squares can be that large

/** How maps of a shape lie side by side: [height, width, channels], or [values], which are one map of a few rows. */
function layoutOf(shape) {
    const [height, width, channels] = shape.length === 3 ? shape : [0, 0, 0];
    if (height * width <= 1) {
        const count = shape.reduce((product, size) => product * size, 1);
        const columns = Math.min(count, VECTOR_COLUMNS);
        return { width: 1, height: 1, channels: count, columns, rows: Math.ceil(count / columns), gap: 0, square: 12 };
    }
    const square = Math.min(Math.max(Math.floor(TILE / Math.max(width, height)), 1), LARGEST_SQUARE);
    const fit = Math.floor(WIDTH / (square * (width + 1)));
    const columns = Math.min(Math.max(fit, 1), channels);
    return { width, height, channels, columns, rows: Math.ceil(channels / columns), gap: 1, square };
}

/** The two ends of the scale of colours, and what lies between maps, from the page's style: [red, green, blue]. */
export function colours() {
    const canvas = new OffscreenCanvas(1, 1);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const style = getComputedStyle(document.documentElement);
    return ["--map-low", "--map-high"].map((name) => {
        context.fillStyle = style.getPropertyValue(name);
        context.fillRect(0, 0, 1, 1);
        return [...context.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
    });
}

/** Draws a tensor on a canvas. Returns its smallest and its largest value, which are the ends of the scale. */
export function drawMaps(canvas, values, shape, [lowColour, highColour]) {
    const { width, height, channels, columns, rows, gap, square } = layoutOf(shape);
    const [across, down] = [columns * (width + gap) - gap, rows * (height + gap) - gap];
    if (canvas.width !== across || canvas.height !== down) {
        [canvas.width, canvas.height] = [across, down];
        canvas.style.width = `${square * across}px`;
    }
    const [low, high] = ends(values);
    const pixels = new ImageData(across, down);
    for (let index = 0; index < values.length; index++) {
        const channel = index % channels;
        const place = Math.floor(index / channels);
        const x = (channel % columns) * (width + gap) + (place % width);
        const y = Math.floor(channel / columns) * (height + gap) + Math.floor(place / width);
        const share = high === low ? 0 : (values[index] - low) / (high - low);
        const at = 4 * (y * across + x);
        for (let part = 0; part < 3; part++) {
            pixels.data[at + part] = lowColour[part] + share * (highColour[part] - lowColour[part]);
        }
        pixels.data[at + 3] = 255;
    }
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    return [low, high];
}

function ends(values) {
    let [low, high] = [127, -128];
    for (const value of values) {
        low = Math.min(low, value);
        high = Math.max(high, value);
    }
    return [low, high];
}

/** Draws an image as the model takes it: what is int8 -128 is black. */
export function drawImage(canvas, image, [height, width, channels]) {
    const pixels = new ImageData(width, height);
    for (let pixel = 0; pixel < width * height; pixel++) {
        for (let part = 0; part < 3; part++) {
            pixels.data[4 * pixel + part] = image[pixel * channels + (channels === 3 ? part : 0)] + 128;
        }
        pixels.data[4 * pixel + 3] = 255;
    }
    [canvas.width, canvas.height] = [width, height];
    canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** What lies under a point of a canvas: the index of a value and its place in words; null between two maps. */
function valueAt([x, y], shape, isImage) {
    const [height, width, channels] = shape;
    if (isImage) {
        return { index: (y * width + x) * channels, words: `row ${y}, column ${x}` };
    }
    const layout = layoutOf(shape);
    const [across, down] = [x % (layout.width + layout.gap), y % (layout.height + layout.gap)];
    const column = Math.floor(x / (layout.width + layout.gap));
    const channel = Math.floor(y / (layout.height + layout.gap)) * layout.columns + column;
    if (across >= layout.width || down >= layout.height || channel >= layout.channels) {
        return null;
    }
    const isVector = layout.width * layout.height === 1;
    const words = isVector ? `value ${channel}` : `map ${channel}, row ${down}, column ${across}`;
    return { index: (down * layout.width + across) * layout.channels + channel, words };
}

/**
 * While a pointer is over a canvas, `caption` says which value is under it.
 * @param {() => {values: Int8Array | null, shape: number[], isImage: boolean}} current
 */
export function tellValues(canvas, caption, current) {
    let before = null;
    canvas.addEventListener("pointermove", (event) => {
        const { values, shape, isImage } = current();
        const box = canvas.getBoundingClientRect();
        const point = [
            Math.floor(((event.clientX - box.left) / box.width) * canvas.width),
            Math.floor(((event.clientY - box.top) / box.height) * canvas.height),
        ];
        const isInside = point[0] >= 0 && point[1] >= 0 && point[0] < canvas.width && point[1] < canvas.height;
        const found = isInside ? valueAt(point, shape, isImage) : null;
        if (found !== null && values) {
            const count = isImage ? shape[2] : 1;
            before ??= caption.textContent;
            const shown = Array.from(values.subarray(found.index, found.index + count), integer);
            setText(caption, `${found.words}: ${shown.join(", ")}`);
        }
    });
    canvas.addEventListener("pointerleave", () => {
        if (before !== null) {
            setText(caption, before);
            before = null;
        }
    });
}
