// Questions and notices.

import { byId, button, element } from "./dom.js";

const STAYS_MS = 8000;

/** Say something in the corner; assistive technology reads it out. */
export function notice(text, how = "") {
  const said = element("p", { class: how }, text);
  byId("notices").append(said);
  setTimeout(() => said.remove(), STAYS_MS);
}

/** Do something; what goes wrong is said. Returns what it returned, or undefined. */
export async function attempt(deed) {
  try {
    return await deed();
  } catch (error) {
    notice(error.message, "bad");
    return undefined;
  }
}

/** Show a dialog; what `make` returns stands in it. The focus returns to where it was. */
export function open(title, make) {
  const heading = element("h2", { id: "dialog-title" }, title);
  const dialog = element("dialog", { "aria-labelledby": "dialog-title" });
  dialog.append(heading, ...make((value) => dialog.close(value)));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/** Ask before something is done; true when the person wants it. */
export async function confirmed(title, text, { deed = "Do it", danger = false } = {}) {
  const answer = await open(title, (close) => [
    element("p", {}, text),
    element(
      "div",
      { class: "row" },
      button("Cancel", () => close(""), { autofocus: true }),
      button(deed, () => close("yes"), { class: danger ? "danger" : "primary" }),
    ),
  ]);
  return answer === "yes";
}
