// The logits of all engines one below the other, so that one sees whether they are equal.
import { element, setText } from "./dom.mjs";
import { integer } from "./numbers.mjs";

/** The table of one model. */
export class Logits {
    constructor(model) {
        this.model = model;
        this.verdict = element("p", { class: "equality" });
        this.body = element("tbody");
        const heads = this.#columns().map((name) => {
            return element("th", { scope: "col", title: name }, element("span", { text: name }));
        });
        const head = element("tr", {}, element("td"), ...heads, element("th", { scope: "col", text: "differ" }));
        const label = `Logits of ${model.name}`;
        this.section = element(
            "section",
            { class: "logits" },
            element("h3", { text: model.name }),
            this.verdict,
            element(
                "div",
                { class: "scroll", tabindex: 0, role: "region", "aria-label": label },
                element("table", {}, element("thead", {}, head), this.body),
            ),
        );
        this.clear();
    }

    clear() {
        this.body.replaceChildren();
        setText(this.verdict, "");
        this.section.hidden = true;
    }

    /**
     * Shows this page's logits, and those of the others.
     * @param {Int8Array} own
     * @param {Array<{name: string, detail: string, logits: number[]}>} others
     */
    show(own, others) {
        const here = { name: "this page", detail: "WebAssembly", logits: Array.from(own) };
        const rows = [here, ...others];
        const counts = rows.map(({ logits }) => logits.filter((value, index) => value !== own[index]).length);
        this.body.replaceChildren(...rows.map((row, index) => this.#row(row, own, counts[index])));
        this.section.hidden = false;
        setText(this.verdict, this.#sentence(rows, counts));
        this.verdict.dataset.equal = counts.every((count) => count === 0);
    }

    #columns() {
        return this.model.outputs === "binary" ? [this.model.classes[1]] : this.model.classes;
    }

    #row({ name, detail, logits }, own, count) {
        const cells = logits.map((value, index) => {
            const isOther = value !== own[index];
            return element("td", { text: integer(value), "data-value": value, class: isOther ? "differs" : "" });
        });
        const head = element("th", { scope: "row" }, element("span", { text: name }), element("small", { text: detail, title: detail }));
        return element("tr", { "data-engine": name }, head, ...cells, element("td", { text: count, "data-differ": count }));
    }

    #sentence(rows, counts) {
        const differing = rows.filter((_, index) => counts[index] > 0).map((row) => row.name);
        if (rows.length === 1) {
            const advice = this.model.engines.length > 0 ? " Other engines have seen the examples." : "";
            return `This has been seen by this page only.${advice}`;
        }
        const total = rows[0].logits.length;
        const which = total === 1 ? "The output is" : `All ${total} outputs are`;
        if (differing.length === 0) {
            return `${which} equal in ${rows.length} engines.`;
        }
        const others = rows.length - differing.length;
        const verbs = [differing.length === 1 ? "differs" : "differ", others === 1 ? "agrees" : "agree"];
        return `${differing.join(", ")} ${verbs[0]} from this page; ${others} ${verbs[1]}.`;
    }
}
