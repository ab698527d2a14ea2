/**
 * Makes an element. Children are nodes or text; text never becomes markup. `onclick` and the like are listeners;
 * an attribute of `undefined` or `false` is left out.
 */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  fill(node, ...children);
  return node;
}

/** Replaces what is in `node`. Children that are `undefined`, `null` or `false` are left out. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
}

/** Sets the text only when it changed, so that selections and screen readers are left in peace. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Shows a page: the new content of main, with the focus on its heading where the user came by an action. */
export function show(content, { focus = false } = {}) {
  const main = document.getElementById("main");
  fill(main, content);
  if (focus) main.focus();
}

/** Says something to screen readers. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** A box for what went wrong, with a way on. Empty and hidden until `say` is called. */
export function alertBox() {
  const box = el("div", { class: "alert", role: "alert", hidden: true });
  return {
    node: box,
    clear() {
      box.hidden = true;
      fill(box);
    },
    say(text, action) {
      fill(box, el("p", {}, text), action && el("button", { type: "button", class: "button small", onclick: action.run }, action.label));
      box.hidden = false;
    },
  };
}

/** Makes a button busy while `work` runs; a second press does nothing meanwhile. */
export async function busy(button, label, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  const before = button.textContent;
  // Not `disabled`: that would throw the keyboard's focus away.
  button.setAttribute("aria-disabled", "true");
  button.textContent = label;
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
    button.textContent = before;
  }
}
