import type { Logger } from "../../logger.ts";
import { type RedisConnection, someNode } from "./redis-connection.ts";

/**
 * Warns once when Redis may lose what it has confirmed: a refresh token that was rotated is lost then, and its login with it. It never
 * refuses: whoever runs Redis may know why, and may have forbidden the question.
 */
export async function warnOfPersistence(connection: RedisConnection, logger: Logger): Promise<void> {
  const found = await settingsOf(connection);
  if (found === undefined) {
    logger.info("Redis does not tell its settings (CONFIG GET is not permitted): see to it that appendonly is yes and appendfsync always.");
    return;
  }
  const { appendonly, appendfsync, "maxmemory-policy": policy } = found;
  const problems = [
    ...(appendonly === "no" ? ["appendonly is no: what was written last is lost when Redis ends. Set it to yes"] : []),
    ...(appendonly === "yes" && appendfsync !== "always"
      ? [`appendfsync is ${appendfsync}: the last second may be lost. Set it to always`]
      : []),
    ...(policy !== undefined && policy !== "noeviction"
      ? [`maxmemory-policy is ${policy}: records may be dropped when memory is short. Set it to noeviction`]
      : []),
  ];
  if (problems.length > 0) logger.warn("Redis may lose login sessions as it is configured.", { problems });
}

async function settingsOf(connection: RedisConnection): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    const node = someNode(connection);
    // One name at a time: only then does Redis 6 answer.
    const names = ["appendonly", "appendfsync", "maxmemory-policy"];
    const answers = await Promise.all(names.map((name) => node?.config("GET", name)));
    const values = answers.flatMap((answer, index) => (Array.isArray(answer) ? [[names[index], String(answer[1])]] : []));
    return Object.fromEntries(values);
  } catch {
    return undefined;
  }
}
