import type { IncomingMessage, ServerResponse } from "node:http";
import type Provider from "oidc-provider";
import type { errors, Interaction } from "oidc-provider";
import { readBody } from "./http-exchange.ts";
import { html, page, type SafeHtml } from "./page.ts";
import { checkUserName } from "./users.ts";

/** Where the login form lives: the authorization endpoint redirects to it, and it is posted to the same address. */
export const loginPath = "/interaction/";

/** The field names of the form; the scripted browser fills them in. */
export const loginFields = { name: "name", password: "password" } as const;

export interface LoginFormOptions {
  readonly provider: Provider;
  readonly isProviderError: (error: unknown) => error is errors.OIDCProviderError;
}

interface Attempt {
  readonly name: string;
  readonly problem?: string;
  readonly field?: "name" | "password";
}

/** Shows the login form and takes its answer: any name, with the name as password. Signing in is consent as well. */
export function createLoginForm({ provider, isProviderError }: LoginFormOptions) {
  return async function serveLoginForm(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const interaction = await provider.interactionDetails(request, response).catch((error: unknown) => {
      if (isProviderError(error)) return undefined;
      throw error;
    });
    if (interaction === undefined) return show(response, 400, "This sign-in is over", expiredBody);
    if (request.method === "GET") {
      const hint = interaction.params.login_hint;
      return show(
        response,
        200,
        "Sign in",
        formBody(await askingClient(provider, interaction), { name: typeof hint === "string" ? hint : "" }),
      );
    }
    const body = await readBody(request, 16_384);
    if (body.kind === "aborted") return;
    const fields = new URLSearchParams(body.kind === "complete" ? body.text : "");
    const typed = fields.get(loginFields.name) ?? "";
    const checked = checkUserName(typed);
    const again = async (status: number, attempt: Attempt): Promise<void> =>
      show(response, status, "Sign in", formBody(await askingClient(provider, interaction), attempt));
    if (checked.kind === "rejected") return again(400, { name: typed.slice(0, 200), problem: checked.problem, field: "name" });
    const { name } = checked;
    if ((fields.get(loginFields.password) ?? "").trim().normalize("NFC") !== name)
      return again(403, { name, problem: "Wrong password. In this demo the password is the name itself.", field: "password" });
    const grantId = await createGrant(provider, interaction, name);
    await provider.interactionFinished(request, response, { login: { accountId: name, remember: false }, consent: { grantId } });
  };
}

/** A grant for this login alone, with everything that was asked for. */
async function createGrant(provider: Provider, interaction: Interaction, accountId: string): Promise<string> {
  const { client_id: clientId, scope, resource } = interaction.params;
  const scopes = typeof scope === "string" ? scope : "openid";
  const grant = new provider.Grant({ accountId, clientId: String(clientId) });
  grant.addOIDCScope(scopes);
  for (const indicator of [resource].flat()) if (typeof indicator === "string") grant.addResourceScope(indicator, scopes);
  return grant.save();
}

async function askingClient(provider: Provider, interaction: Interaction): Promise<string> {
  const client = await provider.Client.find(String(interaction.params.client_id));
  return client?.clientName ?? String(interaction.params.client_id);
}

function formBody(client: string, { name, problem, field }: Attempt): SafeHtml {
  const wrong = (which: "name" | "password"): SafeHtml =>
    field === which ? html` aria-invalid="true" aria-describedby="problem"` : html``;
  const focus = (which: "name" | "password"): SafeHtml =>
    (field ?? (name === "" ? "name" : "password")) === which ? html` autofocus` : html``;
  return html`<p><strong>${client}</strong> asks you to sign in.</p>
${problem === undefined ? html`` : html`<p class="problem" id="problem" role="alert">${problem}</p>`}
<form method="post">
<label for="name">Name</label>
<input id="name" name="${loginFields.name}" value="${name}" required maxlength="64" autocomplete="username" autocapitalize="none" spellcheck="false"${wrong("name")}${focus("name")}>
<label for="password">Password</label>
<input id="password" name="${loginFields.password}" type="password" required autocomplete="current-password"${wrong("password")}${focus("password")}>
<p class="hint">This is a demo: take any name, such as carol. The password is the same as the name.</p>
<button type="submit">Sign in</button>
</form>`;
}

const expiredBody = html`<p>It was finished already, took too long, or began in another browser.</p>
<p>Go back to the application and sign in from there once more.</p>`;

function show(response: ServerResponse, status: number, title: string, body: SafeHtml): void {
  const { text, headers } = page(title, body);
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(text) });
  response.end(text);
}
