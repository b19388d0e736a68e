// The chip behind `lenet-edge page --serve`: its state, and its logits of what the page shows.
import { byId, setText } from "./dom.mjs";
import { integer } from "./numbers.mjs";

const READY_MS = 5000; // how often it is asked how it is
const OTHERWISE_MS = 1000;

/** The token of the page's address, which is taken out of the address; "" where nothing serves the page. */
export function takeToken() {
    const query = new URLSearchParams(location.search);
    const token = query.get("token") ?? "";
    if (!location.protocol.startsWith("http") || token === "") {
        return "";
    }
    query.delete("token");
    const rest = query.toString();
    history.replaceState(null, "", location.pathname + (rest && `?${rest}`) + location.hash);
    return token;
}

/** A board. `onChange` is called whenever what it says of the latest image has changed. */
export class Chip {
    constructor(token, models, onChange) {
        this.headers = { Authorization: `Bearer ${token}` };
        this.models = models;
        this.onChange = onChange;
        this.board = null;
        this.wanted = null; // the image to ask for next
        this.isBusy = false;
        this.answer = null; // { image, logits, count, unit }
        this.#poll();
    }

    /** The model that runs on it, of those of the page; undefined if it is none of them. */
    get model() {
        return this.models.find((model) => model.fingerprint === this.board?.model);
    }

    /** What it says of an image: a row for the table of logits, or null if it has not been asked, or not answered. */
    rowFor(image) {
        const { answer } = this;
        if (answer === null || !equal(answer.image, image)) {
            return null;
        }
        return { name: this.board.board, detail: countText(answer), logits: answer.logits };
    }

    /** Says in its panel what it makes of an inference of this page, {image, logits}; of null, nothing. */
    tell(run) {
        const { answer } = this;
        const isReady = run !== null && this.board.state === "ready";
        const isAnswered = isReady && answer !== null && equal(answer.image, run.image);
        const differ = isAnswered ? answer.logits.filter((value, index) => value !== run.logits[index]).length : 0;
        byId("chip-answer").dataset.equal = differ === 0;
        setText(byId("chip-answer"), isAnswered ? answerText(answer, differ) : isReady ? "It is computing." : "");
    }

    /** Asks for an image: one at a time, and of those that come meanwhile only the latest. */
    ask(image) {
        this.wanted = image.slice();
        this.#next();
    }

    async #next() {
        if (this.isBusy || this.wanted === null || this.board?.state !== "ready") {
            return;
        }
        const image = this.wanted;
        this.wanted = null;
        this.isBusy = true;
        try {
            await this.#infer(image);
        } catch {
            this.wanted ??= image;
            this.#show({ ...this.board, state: "lost", message: "The server does not answer." });
        }
        this.isBusy = false;
        this.#next();
    }

    async #infer(image) {
        const headers = { ...this.headers, "Content-Type": "application/octet-stream" };
        const response = await fetch("api/infer", { method: "POST", headers, body: image });
        const content = await response.json();
        if (response.ok) {
            this.answer = { image, ...content };
            this.onChange();
        } else if (response.status === 503) {
            this.wanted ??= image;
            this.#show({ ...this.board, ...content });
        } else {
            this.#show({ ...this.board, message: content.message ?? `The server answers ${response.status}.` });
        }
    }

    async #poll() {
        try {
            const response = await fetch("api/board", { headers: this.headers });
            if (response.status === 204) {
                return; // the page is served, and no board with it
            }
            const content = await response.json();
            this.#show(response.ok ? content : { ...this.board, state: "lost", message: content.message ?? "" });
        } catch {
            this.#show({ ...this.board, state: "lost", message: "The server does not answer." });
        }
        this.#next();
        setTimeout(() => this.#poll(), this.board.state === "ready" ? READY_MS : OTHERWISE_MS);
    }

    #show(board) {
        const isNew = this.board?.state !== board.state || this.board?.model !== board.model;
        this.board = board;
        const panel = byId("chip");
        panel.hidden = false;
        panel.dataset.state = board.state;
        const kind = board.kind === "emulator" ? "in its emulator" : "on its port";
        setText(byId("chip-name"), board.board === undefined ? "The board" : `${board.board}, ${kind}`);
        setText(byId("chip-state"), stateText(board, this.model));
        if (isNew) {
            this.onChange();
        }
    }
}

function stateText({ state, message = "", model: fingerprint }, model) {
    if (state !== "ready") {
        const head = [state === "lost" ? "Lost" : "Starting", message.replace(/\.$/, "")].filter(Boolean).join(": ");
        return state === "lost" ? `${head}. It is used again as soon as it answers.` : `${head}.`;
    }
    if (model === undefined) {
        return `It runs model ${fingerprint.slice(0, 16)}, which is not on this page.`;
    }
    return message || "It gets what the page shows; its outputs stand below, beside this page's.";
}

function countText({ count, unit }) {
    return count === null ? "" : `${integer(count)} ${unit}`;
}

function answerText(answer, differ) {
    const outputs = answer.logits.length;
    const words = differ === 0 ? `${outputs} of ${outputs} outputs are equal` : `${differ} of ${outputs} outputs differ`;
    return [words, countText(answer)].filter(Boolean).join(" · ");
}

function equal(one, other) {
    return one.length === other.length && one.every((value, index) => value === other[index]);
}
