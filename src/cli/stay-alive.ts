import { MessageChannel } from "node:worker_threads";

/** Keeps the process alive while `task` waits: no timer of ours does, and there may be nothing else for a while. */
export async function stayAlive<T>(task: () => Promise<T>): Promise<T> {
  const { port1 } = new MessageChannel();
  port1.ref();
  try {
    return await task();
  } finally {
    port1.close();
  }
}
