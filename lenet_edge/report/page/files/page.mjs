// The page: what one shows goes to every model, and what they say is shown.
import { Chip, takeToken } from "./chip.mjs";
import { byId, element, oncePerFrame, setText } from "./dom.mjs";
import { Layers } from "./layers.mjs";
import { Logits } from "./logits.mjs";
import { drawImage } from "./maps.mjs";
import { decodedInt8 } from "./numbers.mjs";
import { Pad } from "./pad.mjs";
import { Camera, frameOfFile } from "./pictures.mjs";
import { Program } from "./program.mjs";
import { Result } from "./result.mjs";

/** A model with its program and the parts of the page that show it. */
class Shown {
    constructor(program, examples) {
        this.program = program;
        this.model = program.model;
        this.result = new Result(this.model);
        this.layers = new Layers(this.model);
        this.logits = new Logits(this.model);
        this.examples = examples;
        this.run = null; // the latest inference
        byId("models").append(this.result.card);
        byId("layers").append(this.layers.section);
        byId("logits").append(this.logits.section);
        program.measure().then((microseconds) => this.result.setTime(microseconds));
    }

    /** The image of an example, int8. */
    example(index) {
        const size = this.program.image.length;
        return this.examples.subarray(index * size, (index + 1) * size);
    }

    /** Sees a source: {frame} or {example}. */
    see({ frame, example }) {
        try {
            if (example === undefined) {
                this.program.prepare(frame);
            } else {
                this.program.image.set(this.example(example));
            }
        } catch (error) {
            this.run = null;
            this.result.explain(error.message, error.isBlank === true);
            this.logits.clear();
            return;
        }
        this.run = { ...this.program.run(), image: this.program.image.slice(), example };
        this.result.show(this.run.image, this.run.logits);
        this.layers.show(this.run.outputs);
    }

    /** Shows the logits of the latest inference beside those of the others. */
    compare(chip) {
        if (this.run === null) {
            return;
        }
        const { engines } = this.model;
        const others = this.run.example === undefined ? [] : engines.map(({ name, version, logits }) => {
            return { name, detail: version, logits: logits[this.run.example] };
        });
        const onChip = chip?.model === this.model ? chip.rowFor(this.run.image) : null;
        this.logits.show(this.run.logits, onChip === null ? others : [onChip, ...others]);
    }
}

/** What the page does with what one shows it. */
class Page {
    constructor(contents, shown) {
        this.contents = contents;
        this.shown = shown;
        this.source = null;
        this.chip = null;
        this.update = oncePerFrame(() => this.#see());
        this.pad = new Pad(byId("pad"), shown[0].model, (drawing) => this.#drawn(drawing));
        this.camera = new Camera((frame) => this.#take({ frame }));
        this.#addExamples();
        this.#addTools();
        this.#addDropping();
        const token = takeToken();
        if (token !== "") {
            this.chip = new Chip(token, contents.models, () => this.#compare(true));
        }
    }

    #see() {
        byId("page").dataset.source = this.source === null ? "none" : Object.keys(this.source)[0];
        for (const each of this.shown) {
            if (this.source === null) {
                each.run = null;
                each.result.explain("Draw on the pad, show a picture, or choose an example.", true);
                each.logits.clear();
            } else {
                each.see(this.source);
            }
        }
        this.#compare(false);
        byId("page").dataset.seen = Number(byId("page").dataset.seen ?? 0) + 1;
    }

    /** Shows the logits side by side, and asks the chip where it has not said what it makes of this image. */
    #compare(isNews) {
        for (const each of this.shown) {
            each.compare(this.chip);
            if (this.chip === null || this.chip.model !== each.model) {
                continue;
            }
            this.chip.tell(each.run);
            if (each.run !== null && this.chip.rowFor(each.run.image) === null && !(isNews && this.chip.isBusy)) {
                this.chip.ask(each.run.image);
            }
        }
    }

    #drawn(drawing) {
        this.#choose(null);
        this.#stopCamera();
        this.source = drawing.isBlank ? null : { frame: drawing };
        this.update();
    }

    /** Takes a frame that is not drawn. */
    #take(source) {
        this.#choose(null);
        this.source = source;
        this.pad.show(source.frame);
        this.update();
    }

    #addExamples() {
        const { examples } = this.contents;
        const { model } = this.shown[0];
        byId("examples").hidden = examples.length === 0;
        this.buttons = examples.map(({ name, label }, index) => {
            const canvas = element("canvas", { "aria-hidden": "true" });
            drawImage(canvas, this.shown[0].example(index), model.input);
            const text = label === null ? name : `${name}: ${label}`;
            const button = element("button", { type: "button", "aria-pressed": "false", title: text, "aria-label": text });
            button.append(canvas);
            button.addEventListener("click", () => this.#showExample(index));
            return button;
        });
        byId("example-list").append(...this.buttons.map((button) => element("li", {}, button)));
    }

    #showExample(index) {
        this.#stopCamera();
        this.#choose(index);
        this.source = { example: index };
        this.pad.showImage(this.shown[0].example(index), this.shown[0].model.input);
        this.update();
    }

    #choose(chosen) {
        this.buttons.forEach((button, index) => button.setAttribute("aria-pressed", index === chosen));
        setText(byId("notice"), "");
    }

    #addTools() {
        byId("clear").addEventListener("click", () => this.pad.clear());
        byId("swap").addEventListener("click", () => {
            this.pad.swapInk();
            byId("colour").value = `#${this.pad.drawing.ink.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
        });
        byId("pen").value = this.pad.penWidth;
        byId("pen").addEventListener("input", ({ target }) => (this.pad.penWidth = Number(target.value)));
        byId("file").addEventListener("change", ({ target }) => {
            this.#open(target.files[0]);
            target.value = ""; // so that the same file can be chosen again
        });
        byId("camera").hidden = !Camera.isThere;
        byId("camera").addEventListener("click", () => this.#toggleCamera());
        const isColour = this.shown.some(({ model }) => model.input[2] === 3);
        byId("colour").parentElement.hidden = !isColour;
        byId("colour").addEventListener("input", ({ target }) => {
            this.pad.drawing.ink = [1, 3, 5].map((at) => parseInt(target.value.slice(at, at + 2), 16));
        });
    }

    #addDropping() {
        addEventListener("dragover", (event) => event.preventDefault());
        addEventListener("drop", (event) => {
            event.preventDefault(); // the browser would leave the page for the file
            this.#open(event.dataTransfer.files[0]);
        });
        addEventListener("paste", (event) => this.#open(event.clipboardData.files[0]));
    }

    async #open(file) {
        if (file === undefined) {
            return;
        }
        try {
            const frame = await frameOfFile(file);
            this.#stopCamera();
            this.#take({ frame });
        } catch (error) {
            setText(byId("notice"), error.message);
        }
    }

    async #toggleCamera() {
        if (this.camera.isOn) {
            this.#stopCamera();
            return;
        }
        byId("camera").disabled = true; // until it is known whether one may use it
        try {
            await this.camera.start();
            setText(byId("camera"), "Stop camera");
        } catch (error) {
            setText(byId("notice"), `The camera cannot be used: ${error.message}`);
        }
        byId("camera").disabled = false;
    }

    #stopCamera() {
        if (this.camera?.isOn) {
            this.camera.stop();
            setText(byId("camera"), "Camera");
        }
    }
}

async function main() {
    const contents = JSON.parse(byId("contents").textContent);
    const programs = await Promise.all(contents.models.map((model) => Program.load(model)));
    const shown = programs.map((program) => new Shown(program, decodedInt8(program.model.examples)));
    new Page(contents, shown).update();
}

main().catch((error) => setText(byId("notice"), `This browser cannot run the page: ${error.message}`));
