/** Where a request goes: `token` is `code` and `refresh` together, `any` is all of them. */
export type Target =
  | "refresh"
  | "code"
  | "token"
  | "discovery"
  | "jwks"
  | "authorize"
  | "device"
  | "introspection"
  | "revocation"
  | "userinfo"
  | "end_session"
  | "any";

/** Which requests a behaviour is for. Each member narrows it. */
export interface Scope {
  /** Only so many requests, counted when the behaviour is chosen for them. */
  readonly next?: number;
  readonly subject?: string;
  readonly clientId?: string;
  /** Default: what the kind of behaviour is about; an answer instead of the right one is for `refresh`. */
  readonly target?: Target;
}

/** `before`: the request counts for nothing, no token is consumed. `after`: it was carried out, a rotation included. */
export type Moment = "before" | "after";

export type SigningAlgorithm = "ES256" | "RS256" | "PS256" | "EdDSA";

/** How refresh tokens rotate. The last one set counts. */
export type RotationBehaviour =
  /** Each refresh token once; a second use revokes the family and is a reuse event (RFC 9700). The default. */
  | { readonly kind: "strict_rotation" }
  /** A consumed refresh token is accepted again for some seconds: answered by its successor, or by another child. Later it is reuse. */
  | { readonly kind: "grace_rotation"; readonly seconds: number; readonly answer: "same_successor" | "new_child" }
  /** The refresh token stays; the reply repeats it or leaves it out. */
  | { readonly kind: "no_rotation"; readonly reply: "same_token" | "no_token" }
  /** The refresh token is rotated only after this share (0 to 1) of its life, and comes back the same before. */
  | { readonly kind: "late_rotation"; readonly afterShare: number };

/** What tokens are like. */
export type TokenBehaviour =
  | { readonly kind: "access_token_life"; readonly seconds: number }
  /** `sliding`: from each refresh on. `absolute`: from the login on. `told`: the reply has `refresh_expires_in`. Default: no end. */
  | { readonly kind: "refresh_token_life"; readonly seconds: number; readonly mode: "sliding" | "absolute"; readonly told?: boolean }
  /** 400 while the access token has lived less than this share (0 to 1) of its life. `error`: default `invalid_request`. */
  | { readonly kind: "early_refresh_refused"; readonly untilShare: number; readonly error?: string }
  /** At a refresh the access tokens from before stop working. */
  | { readonly kind: "old_access_token_dies" }
  /** Members of a token reply that are changed last; undefined leaves one out. `{ expires_in: "30" }`, `{ scope: ["a"] }`. */
  | { readonly kind: "reply_fields"; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly kind: "id_token"; readonly flaw: IdTokenFlaw }
  | { readonly kind: "id_token_algorithm"; readonly algorithm: SigningAlgorithm }
  /** Logins of one `sid` are one grant: revoking one ends all of them. A user who comes to the authorization endpoint again has the same `sid`. */
  | { readonly kind: "shared_grant" }
  /** The server's clock is off: in the Date header, in what it signs, or both (the default). Tokens live as before. */
  | { readonly kind: "clock_skew"; readonly seconds: number; readonly shows?: "date_header" | "id_token" };

export type IdTokenFlaw =
  | "missing"
  | "wrong_subject"
  | "wrong_issuer"
  | "wrong_audience"
  | "array_audience"
  | "wrong_nonce"
  | "expired"
  | "bad_signature"
  /** Signed with a key that the key set does not have. */
  | "unknown_key"
  /** `alg: none`. */
  | "unsigned";

/** Another answer than the right one, or none. The last one set that matches counts. */
export type AnswerBehaviour =
  /** The connection is cut without a byte of an answer. */
  | { readonly kind: "lost"; readonly at: Moment }
  /** 429, 500 or 503; Retry-After in seconds, or the same as an HTTP date. */
  | {
      readonly kind: "unavailable";
      readonly status?: 429 | 500 | 503;
      readonly retryAfterSeconds?: number;
      readonly retryAfterAs?: "seconds" | "http_date";
      readonly at?: Moment;
    }
  /** A proxy's page. It cannot be told from it whether the request arrived: `at` says. Default 502, `before`. */
  | { readonly kind: "gateway_error"; readonly status?: 502 | 504; readonly at?: Moment }
  /** HTML with 200. Default `before`. */
  | { readonly kind: "html_page"; readonly at?: Moment }
  /** The right answer, cut in half: fewer bytes than `content-length` says, or complete as HTTP but not as JSON. */
  | { readonly kind: "cut_off"; readonly how: "content_length" | "json" }
  /** No body. Default 400. */
  | { readonly kind: "empty"; readonly status?: number; readonly at?: Moment }
  /** An OAuth error, in the body (the default) or only in `WWW-Authenticate`. The status: 401 for `invalid_client`, otherwise 400. */
  | {
      readonly kind: "oauth_error";
      readonly error: string;
      readonly status?: number;
      readonly in?: "body" | "challenge";
      readonly at?: Moment;
    }
  /** Anything else. */
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      readonly at?: Moment;
    };

/** Waiting, besides whatever else happens. */
export type DelayBehaviour =
  | { readonly kind: "slow"; readonly milliseconds: number; readonly at: Moment }
  /** Waits for a promise: hold it and let it go when you mean to. A function is called for each request. */
  | { readonly kind: "held"; readonly until: Promise<unknown> | (() => Promise<unknown>); readonly at: Moment };

/** What endpoints besides the token endpoint do. */
export type EndpointBehaviour =
  | { readonly kind: "introspection"; readonly says: "always_inactive" | "unauthorized" | "not_found" }
  /** `refuses_unknown`: 400 `invalid_token` to a token that is not alive. `absent`: 404, and not in the discovery document. */
  | { readonly kind: "revocation"; readonly says: "unavailable" | "refuses_unknown" | "absent" }
  /** The document is answered from another address, after a 302. */
  | { readonly kind: "discovery_redirect" }
  /** Members of the discovery document; undefined leaves one out. */
  | { readonly kind: "discovery_fields"; readonly fields: Readonly<Record<string, unknown>> };

/** All that the fault server can be told to do. Kinds that exclude each other replace each other; others add up. */
export type Behaviour = RotationBehaviour | TokenBehaviour | AnswerBehaviour | DelayBehaviour | EndpointBehaviour;
