/** What a sign-in name is made of: letters and digits of any script, and a few marks that e-mail addresses need. */
const namePattern = /^[\p{L}\p{M}\p{N}._@-]{1,64}$/u;

export type UserNameCheck = { readonly kind: "ok"; readonly name: string } | { readonly kind: "rejected"; readonly problem: string };

/** Claims of a demo user, as ID token and userinfo give them (OIDC Core, section 5.1). */
export interface UserClaims {
  readonly sub: string;
  readonly name: string;
  readonly email: string;
}

/** Checks what somebody typed as a name. White space around it is dropped; the rest stays as typed, capitals included. */
export function checkUserName(typed: string): UserNameCheck {
  const name = typed.trim().normalize("NFC");
  if (name === "") return { kind: "rejected", problem: "Type a name; any name will do." };
  if ([...name].length > 64) return { kind: "rejected", problem: "The name is too long: at most 64 characters." };
  if (!namePattern.test(name)) return { kind: "rejected", problem: "The name may hold letters, digits and . _ @ - only." };
  return { kind: "ok", name };
}

/** The claims of a user: everything follows from the name, since any name can sign in. */
export function claimsOf(user: string): UserClaims {
  const [first = "", ...rest] = user;
  return { sub: user, name: first.toUpperCase() + rest.join(""), email: user.includes("@") ? user : `${user}@example.test` };
}
