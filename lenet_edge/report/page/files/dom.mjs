// Elements of the page. A text is always text: nothing here takes HTML.

/**
 * A new element.
 * @param {string} tag
 * @param {Object<string, string | number | boolean>} attributes `text` is its content; false leaves an attribute out
 * @param {...Node} children
 */
export function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name === "text") {
            made.textContent = value;
        } else if (value !== false) {
            made.setAttribute(name, value === true ? "" : value);
        }
    }
    made.append(...children);
    return made;
}

/** The element of the page with this id. */
export function byId(id) {
    return document.getElementById(id);
}

/** Sets a text, and only if it is another: what a screen reader announces is not announced twice. */
export function setText(target, text) {
    if (target.textContent !== text) {
        target.textContent = text;
    }
}

/** A function that calls `action` once before the next frame is drawn, however often it is called until then. */
export function oncePerFrame(action) {
    let waiting = false;
    return () => {
        if (!waiting) {
            waiting = true;
            requestAnimationFrame(() => {
                waiting = false;
                action();
            });
        }
    };
}
