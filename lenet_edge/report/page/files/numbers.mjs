// What int8 outputs mean, and how numbers are written. The meaning is decided in Python (quantized/meaning.py).

/** The real values of int8 outputs. */
function realValues(model, logits) {
    return Array.from(logits, (value) => (value - model.zero_point) * model.scale);
}

/** The probability of each class. Only logits go through a softmax: what is a probability already is shown as it is. */
export function probabilities(model, logits) {
    const real = realValues(model, logits);
    if (model.outputs === "binary") {
        return [1 - real[0], real[0]];
    }
    if (model.outputs !== "logits") {
        return real;
    }
    const largest = Math.max(...real);
    const powers = real.map((value) => Math.exp(value - largest));
    const sum = powers.reduce((total, value) => total + value, 0);
    return powers.map((value) => value / sum);
}

/** The number of the class: of several largest the first, as le_infer has it. */
export function classOf(model, logits) {
    if (model.outputs === "binary") {
        return logits[0] > model.threshold ? 1 : 0;
    }
    return logits.indexOf(Math.max(...logits));
}

/** An integer with a true minus sign, and with commas. */
export function integer(value) {
    return String(value).replace("-", "\u2212").replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A share of 1 as a percentage; what is not quite 0 or 1 does not look as if it were. */
export function percent(share) {
    if (share > 0.9995 && share < 1) {
        return "> 99.9 %";
    }
    if (share < 0.0005 && share > 0) {
        return "< 0.1 %";
    }
    return `${(100 * share).toFixed(1)} %`;
}

/** A shape such as 14 × 14 × 6. */
export function shapeText(shape) {
    return shape.map(integer).join(" × ");
}

/** Bytes of base64. */
export function decoded(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** The same as int8. */
export function decodedInt8(text) {
    return new Int8Array(decoded(text).buffer);
}
