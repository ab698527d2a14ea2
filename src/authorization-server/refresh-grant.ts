import type { errors, TokenEndpointGrantContext } from "oidc-provider";
import type { Audit } from "../audit/audit.ts";
import { PresentedAgain } from "./record-adapter.ts";
import type { RefreshReplies, RefreshRequest } from "./refresh-replies.ts";

type GrantHandler<Parameters extends object> = (context: TokenEndpointGrantContext<Parameters>) => void | Promise<void>;

export interface RefreshGrantOptions {
  readonly replies: RefreshReplies;
  readonly isUsable: (handle: string) => Promise<boolean>;
  readonly audit: Audit;
  readonly invalidGrant: (detail: string) => errors.OIDCProviderError;
  readonly tryAgain: () => errors.OIDCProviderError;
}

/**
 * The refresh token grant (RFC 6749, section 6) of oidc-provider, with a replay grace around it. The client has been
 * authenticated when it is called.
 */
export function refreshGrant<Parameters extends object>(
  handler: GrantHandler<Parameters>,
  options: RefreshGrantOptions,
): GrantHandler<Parameters> {
  const { replies, audit } = options;

  const replay = async (context: TokenEndpointGrantContext<Parameters>, kept: { readonly body: unknown } | "foreign"): Promise<void> => {
    if (kept === "foreign") throw options.invalidGrant("this refresh token was used for another request");
    const stored = await context.oidc.provider.RefreshToken.find(requestOf(context).refreshToken, { ignoreExpiration: true });
    const handle = stored?.grantId;
    if (handle === undefined || !(await options.isUsable(handle))) throw options.invalidGrant("the login session needs a new sign-in");
    audit.record({ event: "client_reply_repeated", login: handle, client: context.oidc.client.clientId });
    context.body = kept.body;
  };

  return async (context) => {
    const request = requestOf(context);
    const kept = await replies.find(request);
    if (kept !== undefined) return replay(context, kept);
    try {
      await handler(context);
    } catch (error) {
      if (!(error instanceof PresentedAgain)) throw error;
      // Somebody is answering the first presentation at this moment, here or on another replica.
      const answered = await replies.wait(request);
      if (answered === undefined) throw options.tryAgain();
      return replay(context, answered);
    }
    const grantId = context.oidc.entities.RefreshToken?.grantId;
    if (grantId !== undefined) await replies.keep(request, grantId, context.body);
  };
}

function requestOf({ oidc }: TokenEndpointGrantContext): RefreshRequest {
  const { refresh_token: refreshToken, scope, resource }: Readonly<Record<string, unknown>> = { ...oidc.params };
  return {
    refreshToken: typeof refreshToken === "string" ? refreshToken : "",
    clientId: oidc.client.clientId,
    target: JSON.stringify([scope ?? null, resource ?? null]),
  };
}
