import type { Client, ErrorOut, KoaContextWithOIDC } from "oidc-provider";
import { html, page, SafeHtml } from "./page.ts";

/**
 * The pages that oidc-provider shows by itself: device codes, logout, errors. All of them have to be given: its own
 * are drawn with fonts from elsewhere, and announce themselves on stdout.
 */
export const providerPages = {
  askDeviceCode(context: KoaContextWithOIDC, form: string, _out?: ErrorOut, error?: Error & { userCode?: string }): void {
    const problem = error === undefined ? undefined : (deviceProblems[error.name] ?? "That did not work. Ask your device for a new code.");
    show(
      context,
      "Connect a device",
      html`${problem === undefined ? html`` : html`<p class="problem" id="problem" role="alert">${problem}</p>`}
<p>Type the code that your device shows.</p>
${deviceForm(context, form, error?.userCode ?? "")}`,
    );
  },

  confirmDeviceCode(context: KoaContextWithOIDC, form: string, client: Client, _deviceInfo: unknown, userCode: string): void {
    show(
      context,
      "Is this your device?",
      html`<p><strong>${client.clientName ?? client.clientId}</strong> asks to be connected. Go on only if your device shows this code:</p>
<p><code>${userCode}</code></p>
${new SafeHtml(form)}
<button type="submit" form="op.deviceConfirmForm" autofocus>Go on</button>
<button type="submit" form="op.deviceConfirmForm" class="second" name="abort" value="yes">Cancel</button>`,
    );
  },

  deviceConnected(context: KoaContextWithOIDC): void {
    show(context, "Your device is connected", html`<p>You can close this page and go back to your device.</p>`);
  },

  askLogout(context: KoaContextWithOIDC, form: string): void {
    show(
      context,
      "Sign out here?",
      html`<p>Applications that you signed in to stay signed in.</p>
${new SafeHtml(form)}
<button type="submit" form="op.logoutForm" name="logout" value="yes" autofocus>Sign out</button>
<button type="submit" form="op.logoutForm" class="second">Stay signed in</button>`,
    );
  },

  loggedOut(context: KoaContextWithOIDC): void {
    show(context, "You are signed out", html`<p>You can close this page.</p>`);
  },

  failed(context: KoaContextWithOIDC, out: ErrorOut): void {
    show(
      context,
      "This did not work",
      html`<p>${out.error_description ?? "The request could not be answered."}</p>
<p class="hint">${out.error}</p>
<p>Go back to the application and try again from there.</p>`,
    );
  },
};

const deviceProblems: Readonly<Record<string, string>> = {
  NoCodeError: "Type a code first.",
  NotFoundError: "There is no such code. Check it, or ask your device for a new one.",
  ExpiredError: "This code has expired. Ask your device for a new one.",
  AlreadyUsedError: "This code was used already. Ask your device for a new one.",
  AbortedError: "Cancelled. Nothing was connected.",
};

/** oidc-provider's form has a field without a label; its action and its hidden secret are all that is needed of it. */
function deviceForm(context: KoaContextWithOIDC, form: string, typed: string): SafeHtml {
  const [, secret = ""] = /name="xsrf" value="([^"]*)"/.exec(form) ?? [];
  return html`<form method="post" action="${context.oidc.urlFor("code_verification")}">
<input type="hidden" name="xsrf" value="${secret}">
<label for="user_code">Code</label>
<input id="user_code" name="user_code" value="${typed}" required autofocus autocomplete="off" autocapitalize="characters" spellcheck="false">
<button type="submit">Go on</button>
</form>`;
}

function show(context: KoaContextWithOIDC, title: string, body: SafeHtml): void {
  const { text, headers } = page(title, body);
  context.set(headers);
  context.body = text;
}
