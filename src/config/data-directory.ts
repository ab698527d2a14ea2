import { posix, win32 } from "node:path";

export interface DataDirectorySurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute path of the working folder: `LATCHKEY_DATA_DIR` may be relative to it. */
  readonly cwd: string;
  readonly homeDirectory: string;
  /** As Node names it: "linux", "darwin", "win32". */
  readonly platform: string;
}

/**
 * The folder for Latchkey's own files: `LATCHKEY_DATA_DIR`, else where the platform keeps a user's data (XDG Base
 * Directory on Linux, Application Support on macOS, Local AppData on Windows).
 */
export function dataDirectory({ env, cwd, homeDirectory, platform }: DataDirectorySurroundings): string {
  const { isAbsolute, join, resolve } = platform === "win32" ? win32 : posix;
  const fromEnv = (name: string): string | undefined => {
    const value = env[name];
    // XDG: a relative path is to be ignored.
    return value !== undefined && isAbsolute(value) ? value : undefined;
  };
  const own = env["LATCHKEY_DATA_DIR"];
  if (own !== undefined && own !== "") return resolve(cwd, own);
  switch (platform) {
    case "win32":
      return join(fromEnv("LOCALAPPDATA") ?? join(homeDirectory, "AppData", "Local"), "latchkey", "Data");
    case "darwin":
      return join(homeDirectory, "Library", "Application Support", "latchkey");
    default:
      return join(fromEnv("XDG_DATA_HOME") ?? join(homeDirectory, ".local", "share"), "latchkey");
  }
}
