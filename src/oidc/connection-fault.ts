/** In which phase of an exchange something went wrong. Nothing of the request was written before `sent`. */
export type ExchangePhase = "connecting" | "securing" | "sent";

/** Stable; `cut_off` and `too_large` are about an answer whose status line came. */
export type ConnectionFaultCode =
  | "dns"
  | "refused"
  | "unreachable"
  | "connect_timeout"
  | "tls"
  | "unsendable"
  | "closed"
  | "timeout"
  | "not_http"
  | "cut_off"
  | "too_large";

/** Why an HTTP exchange gave no whole answer. The message is a clause for people; it names host and port, and nothing of the request. */
export class ConnectionFault extends Error {
  readonly code: ConnectionFaultCode;

  constructor(code: ConnectionFaultCode, message: string) {
    super(message);
    this.name = "ConnectionFault";
    this.code = code;
  }
}

const untrusted = /SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_UNTRUSTED|CERT_SIGNATURE/;

/** Translates an error of node's sockets by its code. Its message is not taken over: it may quote what was sent. */
export function connectionFault(thrown: unknown, phase: ExchangePhase, url: URL): ConnectionFault {
  const code = codeOf(thrown);
  const peer = peerOf(url);
  if (code === "ENOTFOUND" || code.startsWith("EAI_"))
    return new ConnectionFault("dns", `the name ${url.hostname} does not resolve (${code})`);
  if (code.startsWith("HPE_")) return new ConnectionFault("not_http", `${peer} answered with something that is not HTTP (${code})`);
  if (code.startsWith("ERR_PROXY_"))
    return new ConnectionFault("unreachable", `the proxy of HTTPS_PROXY did not connect to ${peer} (${code})`);
  // In the tunnel of a proxy TLS is a part of connecting.
  switch (phase === "connecting" && untrusted.test(code) ? "securing" : phase) {
    case "connecting":
      if (code === "ECONNREFUSED") return new ConnectionFault("refused", `connection refused by ${peer}`);
      if (code === "ETIMEDOUT") return new ConnectionFault("connect_timeout", `${peer} did not accept the connection in time`);
      return new ConnectionFault("unreachable", `${peer} cannot be reached (${code})`);
    case "securing": {
      const hint = untrusted.test(code) ? "; if your company signs its own certificates, name its CA file in NODE_EXTRA_CA_CERTS" : "";
      return new ConnectionFault("tls", `the TLS connection to ${peer} failed (${code})${hint}`);
    }
    case "sent":
      return new ConnectionFault("closed", `${peer} closed the connection before it had answered (${code})`);
  }
}

/** The exchange took longer than it may. */
export function timeoutFault(phase: ExchangePhase, url: URL, timeoutMs: number): ConnectionFault {
  const seconds = Math.round(timeoutMs / 100) / 10;
  switch (phase) {
    case "connecting":
    case "securing":
      return new ConnectionFault("connect_timeout", `no connection to ${peerOf(url)} within ${seconds} s`);
    case "sent":
      return new ConnectionFault("timeout", `${peerOf(url)} did not answer within ${seconds} s`);
  }
}

/** Host and port, the default port included: what one would type to try it. */
export function peerOf(url: URL): string {
  return `${url.hostname}:${url.port || (url.protocol === "https:" ? "443" : "80")}`;
}

function codeOf(thrown: unknown): string {
  if (typeof thrown === "object" && thrown !== null && "code" in thrown && typeof thrown.code === "string") return thrown.code;
  return "no code";
}
