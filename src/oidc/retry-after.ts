/** An hour: beyond it one had better look for oneself. */
const longestSeconds = 3600;

/**
 * `Retry-After` of an answer in seconds from now, in either form (RFC 9110, section 10.2.3), within 1 and 3600; undefined
 * when there is none that makes sense. A date is compared with the answer's own `Date`, so a wrong clock here does not matter.
 */
export function retryAfterSeconds(headers: Headers, now: number): number | undefined {
  const value = headers.get("retry-after")?.trim();
  if (value === undefined || value === "") return undefined;
  if (/^\d+$/.test(value)) return clamp(Number(value));
  const at = httpDate(value);
  return at === undefined ? undefined : clamp(Math.ceil((at - (httpDate(headers.get("date")) ?? now)) / 1000));
}

/** An HTTP date in milliseconds since the epoch, undefined if it is none. */
export function httpDate(value: string | null): number | undefined {
  // Date.parse takes nearly anything, "1.5" included: a weekday and a zone make it a date.
  if (value === null || !/^[A-Z][a-z]{2,8},? .+ (GMT|UTC|[+-]\d{4})$/.test(value.trim())) return undefined;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : at;
}

function clamp(seconds: number): number {
  return Math.min(longestSeconds, Math.max(1, seconds));
}
