/** `request`: from the client to the target. `reply`: back. */
export type Direction = "request" | "reply";

/** What happens to one connection. */
export type ChaosPlan =
  | { readonly kind: "pass" }
  /** Each piece is passed on so much later. Default: in both directions. */
  | { readonly kind: "delay"; readonly milliseconds: number; readonly direction?: Direction }
  /** So many bytes are passed on in each direction in each second. */
  | { readonly kind: "bandwidth"; readonly bytesPerSecond: number }
  /** After so many bytes in this direction, which still arrive, both sides are reset. */
  | { readonly kind: "reset_after"; readonly bytes: number; readonly direction: Direction }
  /** The request arrives; once the target begins to answer, the client's side is reset (the default) or ended, without a byte of it. */
  | { readonly kind: "drop_reply"; readonly ending?: "reset" | "end" }
  /** Once the client has sent something its side is reset; the target never hears of it. */
  | { readonly kind: "drop_request" }
  /** After so many bytes of the reply (default 0: once the request was passed on) the client's side is ended, but goes on being read. */
  | { readonly kind: "half_close"; readonly afterReplyBytes?: number }
  /** Reset as soon as it is accepted. For a refusal by the operating system see `refuse`. */
  | { readonly kind: "reset_at_once" }
  /** Accepted, read, never answered, never closed. */
  | { readonly kind: "black_hole" };

/** A connection that was just accepted. */
export interface NewConnection {
  /** Counts from 1. */
  readonly number: number;
  readonly remotePort: number | undefined;
}

/** What one connection has been through. */
export interface ChaosConnection extends NewConnection {
  readonly plan: ChaosPlan;
  /** Bytes that were passed on. */
  readonly requestBytes: number;
  readonly replyBytes: number;
  readonly open: boolean;
  /** Cuts both sides. */
  close(): void;
}

/** How often something was done. */
export interface ChaosCounts {
  readonly connections: number;
  /** Connections that each kind of plan was chosen for. */
  readonly plans: Readonly<Partial<Record<ChaosPlan["kind"], number>>>;
  /** Connections that a reset or an end really hit. */
  readonly cut: number;
}
