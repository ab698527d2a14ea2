import { announce, el } from "./dom.js";

/** A block of text with a button that copies it. */
export function copyBlock(label, text) {
  const code = el("pre", { tabindex: "0", "aria-label": label }, el("code", {}, text));
  const button = el("button", { type: "button", class: "button small copy", "aria-label": `Copy: ${label}` }, "Copy");
  button.addEventListener("click", async () => {
    const copied = await copy(text, code);
    button.textContent = copied ? "Copied" : "Press Ctrl+C";
    announce(copied ? `Copied: ${label}` : "The text is selected. Press Control and C to copy it.");
    setTimeout(() => {
      button.textContent = "Copy";
    }, 2_500);
  });
  return el("div", { class: "copy-block" }, code, button);
}

/** Without a secure origin there is no clipboard: then the text is at least selected. */
async function copy(text, node) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const range = document.createRange();
    range.selectNodeContents(node);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return false;
  }
}
