/** A JSON-RPC error. The SDK's own class writes its code into the message, and its client does so again. */
export class RpcError extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
