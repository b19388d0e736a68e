// What one model sees in its image: the image, the class, and the probabilities.
import { element, setText } from "./dom.mjs";
import { drawImage, tellValues } from "./maps.mjs";
import { classOf, percent, probabilities, shapeText } from "./numbers.mjs";

const MOST_BARS = 12;
const LONG = 3; // letters of a class that is still written large

/** A card of a model. */
export class Result {
    constructor(model) {
        this.model = model;
        this.image = element("canvas", { class: "input", role: "img", "aria-label": "The int8 input" });
        this.found = element("p", { class: "class", "aria-live": "polite" });
        this.share = element("p", { class: "share" });
        this.bars = element("ol", { class: "bars" });
        this.rows = Array.from({ length: Math.min(MOST_BARS, model.classes.length) }, () => this.#newRow());
        this.message = element("p", { class: "message" });
        this.time = element("span", { class: "time", hidden: true });
        const caption = element("figcaption", { text: `int8 input, ${shapeText(model.input)}` });
        this.shown = null; // the image
        tellValues(this.image, caption, () => ({ values: this.shown, shape: model.input, isImage: true }));
        this.card = element(
            "article",
            { class: "model card", "data-state": "blank" },
            element("h2", { text: model.name }),
            this.#facts(),
            this.message,
            element(
                "div",
                { class: "seen" },
                element("figure", {}, this.image, caption),
                element("div", { class: "verdict" }, this.found, this.share),
            ),
            this.bars,
        );
    }

    /** Says how long an inference takes here. */
    setTime(microseconds) {
        const time = microseconds < 1000 ? `${microseconds.toFixed(0)} µs` : `${(microseconds / 1000).toFixed(1)} ms`;
        this.time.hidden = false;
        setText(this.time, `${time} an inference here`);
    }

    /** Shows an inference. */
    show(image, logits) {
        const { model } = this;
        this.card.dataset.state = "seen";
        this.shown = image;
        drawImage(this.image, image, model.input);
        const shares = probabilities(model, logits);
        const found = classOf(model, logits);
        setText(this.message, "");
        setText(this.found, model.classes[found]);
        this.found.dataset.class = found;
        this.found.classList.toggle("long", model.classes[found].length > LONG);
        setText(this.share, percent(shares[found]));
        const order = shares.map((_, index) => index);
        if (order.length > MOST_BARS) {
            order.sort((one, other) => shares[other] - shares[one] || one - other);
        }
        this.rows.forEach((row, index) => row.show(order[index], shares[order[index]], order[index] === found));
    }

    /** Shows why there is no inference. */
    explain(message, isBlank) {
        this.card.dataset.state = isBlank ? "blank" : "refused";
        setText(this.found, "");
        setText(this.share, "");
        setText(this.message, message);
    }

    #facts() {
        const { grid, wasm_bytes: bytes, fingerprint } = this.model;
        return element(
            "p",
            { class: "facts" },
            element("code", { text: fingerprint.slice(0, 16), title: `model ${fingerprint}` }),
            element("span", { text: `${grid} grid`, hidden: grid === "" }),
            element("span", { text: `${(bytes / 1024).toFixed(1)} KB of WebAssembly` }),
            this.time,
        );
    }

    #newRow() {
        const name = element("span", { class: "name" });
        const bar = element("span", { class: "bar" });
        const share = element("span", { class: "percent" });
        const row = element("li", {}, name, element("span", { class: "track", "aria-hidden": "true" }, bar), share);
        this.bars.append(row);
        const show = (index, value, isFound) => {
            setText(name, this.model.classes[index]);
            setText(share, percent(value));
            bar.style.width = `${100 * value}%`;
            row.classList.toggle("found", isFound);
        };
        return { show };
    }
}
