// What one draws, as pixels. The page draws them itself: the same strokes give the same pixels in every browser.

/** A frame on which one draws with a round pen. */
export class Drawing {
    constructor(width, height) {
        this.width = width;
        this.height = height;
        this.data = new Uint8ClampedArray(4 * width * height);
        this.paper = [255, 255, 255];
        this.ink = [0, 0, 0];
        this.clear();
    }

    clear() {
        for (let at = 0; at < this.data.length; at += 4) {
            this.data.set([...this.paper, 255], at);
        }
        this.isBlank = true;
    }

    /** A stroke from one point to another, with soft edges; both in pixels, [x, y]. */
    stroke(from, to, radius) {
        const reach = radius + 1;
        const [left, right] = range(from[0], to[0], reach, this.width);
        const [top, bottom] = range(from[1], to[1], reach, this.height);
        for (let y = top; y < bottom; y++) {
            for (let x = left; x < right; x++) {
                const share = radius + 0.5 - distance([x + 0.5, y + 0.5], from, to);
                if (share > 0) {
                    this.#blend(4 * (y * this.width + x), Math.min(share, 1));
                }
            }
        }
        this.isBlank = false;
    }

    #blend(at, share) {
        for (let channel = 0; channel < 3; channel++) {
            const under = this.data[at + channel];
            this.data[at + channel] = under + Math.round(share * (this.ink[channel] - under));
        }
    }
}

function range(from, to, reach, size) {
    const first = Math.floor(Math.min(from, to) - reach);
    const last = Math.ceil(Math.max(from, to) + reach);
    return [Math.max(first, 0), Math.min(last, size)];
}

/** From a point to the nearest point of the line between two others. */
function distance([x, y], [fromX, fromY], [toX, toY]) {
    const [alongX, alongY] = [toX - fromX, toY - fromY];
    const length = alongX * alongX + alongY * alongY;
    const share = length === 0 ? 0 : ((x - fromX) * alongX + (y - fromY) * alongY) / length;
    const at = Math.min(Math.max(share, 0), 1);
    const [awayX, awayY] = [x - fromX - at * alongX, y - fromY - at * alongY];
    return Math.sqrt(awayX * awayX + awayY * awayY);
}
