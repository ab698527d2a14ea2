import { LatchkeyError } from "../../errors.ts";

/** What a server says with the first word of an error, and what to do about it. */
const replies: Readonly<Record<string, string>> = {
  LOADING: "The store is starting: Redis still reads its data. Try again in a moment.",
  READONLY: "The store cannot be written: this Redis server is a replica. A failover may be under way; try again in a moment.",
  MASTERDOWN: "The store cannot be read: this Redis server is a replica that has lost its primary. Try again in a moment.",
  MOVED: "The store moves within its cluster. Try again in a moment; if it stays so, set store.cluster.",
  ASK: "The store moves within its cluster. Try again in a moment.",
  TRYAGAIN: "The store moves within its cluster. Try again in a moment.",
  CLUSTERDOWN: "The store's cluster is down: some of its nodes cannot be reached.",
  OOM: "The store is full: Redis has reached its maxmemory. Give it more memory.",
  MISCONF: "The store cannot be written: Redis cannot write its data to the disk. Look at its log.",
  NOREPLICAS: "The store cannot be written: too few replicas of Redis are there.",
  BUSY: "The store is busy: another program's script holds Redis up.",
  NOAUTH: "The store asks for a password that it did not ask for before: correct store.url.",
  WRONGPASS: "The store does not take the password any more: correct store.url.",
  NOPERM: "The store does not permit this to its user: correct the user's ACL rules in Redis.",
};

/** What went wrong while the store was used, as a LatchkeyError; one that is already is passed on. No address: users see the message. */
export function redisError(error: unknown): LatchkeyError {
  if (error instanceof LatchkeyError) return error;
  const cause = withoutCommand(error);
  const known = replies[replyWord(error)];
  if (known !== undefined) return new LatchkeyError("store_unavailable", known, { retryable: true, cause });
  if (isReply(error)) return new LatchkeyError("internal_error", "Something went wrong in the store. The log has the cause.", { cause });
  return new LatchkeyError("store_unavailable", "The store cannot be reached. The log has the cause.", { retryable: true, cause });
}

/** The first word of an error that the server gave; "": it gave none. */
export function replyWord(error: unknown): string {
  return isReply(error) ? (/^[A-Z]+/.exec(error.message)?.[0] ?? "") : "";
}

/** ioredis hangs the command with all that it carries onto its errors, the password of AUTH among it. */
export function withoutCommand(error: unknown): Error {
  if (!(error instanceof Error)) return new Error("unknown reason");
  const plain = new Error(error.message);
  plain.name = error.name;
  const code = "code" in error && typeof error.code === "string" ? { code: error.code } : {};
  return Object.assign(plain, code);
}

function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === "ReplyError";
}
