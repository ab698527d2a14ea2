import { Api } from "./api.js";
import { el, show } from "./dom.js";
import { homeView } from "./home-view.js";
import { WindowPage } from "./window-page.js";

/** The window's login session: in the address, and kept for this window alone, so that the start page knows it again. */
const storageKey = "latchkey-login";
const handle = /^\/s\/([\w-]+)$/.exec(location.pathname)?.[1];

if (handle === undefined) await openHome();
else await openWindow(handle);

async function openWindow(login) {
  sessionStorage.setItem(storageKey, login);
  const page = new WindowPage(new Api(login), { forget: () => sessionStorage.removeItem(storageKey) });
  await page.open();
}

async function openHome() {
  try {
    const signedIn = await readSignedIn();
    show(homeView({ signedIn, here: sessionStorage.getItem(storageKey), isDemo: document.body.dataset.demo === "true" }));
  } catch (error) {
    const again = el("button", { type: "button", class: "button primary", onclick: openHome }, "Try again");
    show(
      el(
        "section",
        { class: "card hero", role: "alert" },
        el("h1", {}, "Latchkey does not answer"),
        el("p", { class: "lead" }, error.message),
        el("p", { class: "actions" }, again),
      ),
    );
  }
}

/** Nobody (401), exactly one (200), or several (409 with the list). */
async function readSignedIn() {
  try {
    return (await new Api(undefined).me()).signedIn;
  } catch (error) {
    if (error.status === 401) return [];
    if (error.status === 409) return error.problem.signedIn;
    throw error;
  }
}
