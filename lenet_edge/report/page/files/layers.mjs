// Every step of an inference, as the C computes it: layers that it fuses are one step.
import { element, setText } from "./dom.mjs";
import { colours, drawMaps, tellValues } from "./maps.mjs";
import { integer, shapeText } from "./numbers.mjs";

/** The maps of one model. */
export class Layers {
    constructor(model) {
        this.model = model;
        this.steps = model.steps.map((step, index) => this.#newStep(step, index));
        const list = element("ol", { class: "steps" }, ...this.steps.map((step) => step.item));
        this.section = element("section", { class: "layers" }, element("h3", { text: model.name }), list);
        this.colours = colours();
        this.outputs = [];
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
            this.colours = colours();
            this.show(this.outputs);
        });
    }

    /** Shows the output of each step. */
    show(outputs) {
        this.outputs = outputs;
        outputs.forEach((values, index) => {
            const { canvas, range } = this.steps[index];
            const [low, high] = drawMaps(canvas, values, this.model.steps[index].output, this.colours);
            setText(range, `${integer(low)} to ${integer(high)}`);
        });
    }

    #newStep(step, index) {
        const name = step.layers.join(", ");
        const canvas = element("canvas", { class: "maps", role: "img", "aria-label": `Output of ${name}` });
        const range = element("span", { class: "range" });
        tellValues(canvas, range, () => ({ values: this.outputs[index], shape: step.output, isImage: false }));
        const item = element(
            "li",
            {},
            element(
                "p",
                {},
                element("strong", { text: name }),
                element("span", { text: step.what }),
                element("span", { text: shapeText(step.output) }),
                element("span", { text: `${integer(step.macs)} multiplications`, hidden: step.macs === 0 }),
                range,
            ),
            canvas,
        );
        return { item, canvas, range };
    }
}
