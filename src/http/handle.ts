import type { LoginSessionHandle } from "../session/login-session.ts";

/** True for text that can be the handle of a login session. It says nothing about whether there is one. */
export function isHandle(text: string): text is LoginSessionHandle {
  return /^[A-Za-z0-9_-]{1,100}$/.test(text);
}
