/** What is known of one authorization server's tokens and of the way they are refreshed. Times in seconds. */
export interface RefreshTimes {
  /** Undefined: unknown; access tokens are then taken to live no longer than refresh tokens. */
  readonly accessTokenLifetimeSeconds?: number | undefined;
  /** Undefined: unknown, and nothing can be checked. */
  readonly refreshTokenLifetimeSeconds?: number | undefined;
  /** `refresh.timeoutSeconds`; undefined: it follows from the access token's lifetime. */
  readonly timeoutSeconds?: number | undefined;
  /** How often the heartbeat looks for what is due. */
  readonly intervalSeconds: number;
}

/** What the settings are called where they were written. */
export interface RefreshTimeNames {
  readonly refreshTokenLifetime: string;
  /** Undefined: it cannot be set there. */
  readonly timeout: string | undefined;
  readonly interval: string;
}

/** A heartbeat up to this interval is no cause of trouble and is not named. */
const shortIntervalSeconds = 0.25;

/** When the heartbeat refreshes at the latest: 0.75 L, or half of the refresh token's life if that is sooner. */
function latestDueSeconds(accessTokenSeconds: number, refreshTokenSeconds: number): number {
  return Math.min(0.75 * accessTokenSeconds, refreshTokenSeconds / 2);
}

/** How long one refresh may take when nothing is configured: 0.25 L, at least 3 s, at most 20 s. */
function attemptLimitSeconds(accessTokenSeconds: number): number {
  return Math.min(20, Math.max(3, 0.25 * accessTokenSeconds));
}

/**
 * Checks that a refresh which begins as late as it may, and takes as long as it may, is over before the refresh token
 * ends (R5). Gives the problem as a sentence that names the settings and their values; undefined: there is room.
 */
export function findRefreshRoomProblem(times: RefreshTimes, names: RefreshTimeNames): string | undefined {
  const refreshToken = times.refreshTokenLifetimeSeconds;
  if (refreshToken === undefined) return undefined;
  const accessToken = times.accessTokenLifetimeSeconds ?? refreshToken;
  const due = latestDueSeconds(accessToken, refreshToken);
  const attempt = times.timeoutSeconds ?? attemptLimitSeconds(accessToken);
  if (due + times.intervalSeconds + attempt < refreshToken) return undefined;
  const longInterval = times.intervalSeconds > shortIntervalSeconds;
  const begin = longInterval
    ? `refresh after ${show(due)} s plus ${names.interval} (${show(times.intervalSeconds)})`
    : `refresh after ${show(due)} s`;
  const take =
    times.timeoutSeconds === undefined || names.timeout === undefined
      ? `up to ${show(attempt)} s for the refresh itself`
      : `${names.timeout} (${show(attempt)})`;
  const left = refreshToken - due - Math.min(times.intervalSeconds, shortIntervalSeconds);
  const ways = [
    longInterval ? `set ${names.interval} to ${shortIntervalSeconds}` : undefined,
    // Less than a second for a refresh is no advice.
    names.timeout !== undefined && attempt >= left && left > 1 ? `set ${names.timeout} to less than ${show(left)}` : undefined,
  ].filter((way) => way !== undefined);
  const way = ways.length > 0 ? ways.join(" and ") : "let refresh tokens live longer";
  return `${begin} plus ${take} must come before ${names.refreshTokenLifetime} (${show(refreshToken)}): ${way}`;
}

function show(value: number): string {
  return String(Math.round(value * 100) / 100);
}
