import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LatchkeyError } from "../../src/errors.ts";
import { ApiDirectory, type ApiSettings } from "../../src/tool/api.ts";

const api = (name: string, baseUrl: string): ApiSettings => ({ name, baseUrl, scopes: [], timeoutSeconds: 30 });
const directory = new ApiDirectory([
  api("root", "https://root.example"),
  api("notes", "https://api.example/v1/"),
  api("admin", "https://api.example/v1/admin"),
]);

const refusal = (input: string | URL): LatchkeyError | undefined => {
  try {
    directory.mustFind(input);
    return undefined;
  } catch (error) {
    if (error instanceof LatchkeyError) return error;
    throw error;
  }
};

describe("ApiDirectory", () => {
  it("finds the API whose base address is the longest above the address", () => {
    expect(directory.mustFind("https://api.example/v1/notes?q=1").api.settings.name).toBe("notes");
    expect(directory.mustFind("https://api.example/v1").api.settings.name).toBe("notes");
    expect(directory.mustFind("https://api.example/v1/admin").api.settings.name).toBe("admin");
    expect(directory.mustFind("https://api.example/v1/administrators").api.settings.name).toBe("notes");
    expect(directory.mustFind(new URL("https://ROOT.example:443/a%2Fb")).api.settings.name).toBe("root");
  });

  it.each([
    "https://api.example/v2/notes",
    "https://api.example/v10",
    "https://api.example/",
    "http://api.example/v1/notes",
    "https://api.example:8443/v1/notes",
    "https://api.example.evil.example/v1/notes",
    "https://user:secret@api.example/v1/notes",
    "https://api.example@evil.example/v1/notes",
    "https://api.example/v1/../v2",
    "https://api.example/v1/%2e%2e/v2",
    "https://api.example/v1/..%2fv2",
    "https://api.example/v1/..%5Cv2",
    "https://api.example/v1/%252e%252e%252fv2",
    "https://api.example/v1/..;x/v2",
    "https://api.example/v1/..%3bx%2fv2",
    "https:\\\\evil.example\\v1",
    "file:///v1/notes",
    "data:text/plain,v1",
  ])("refuses %s, without repeating the address's secrets", (address) => {
    const error = refusal(address);
    expect(error?.code).toBe("forbidden");
    expect(error?.message).not.toContain("secret");
  });

  it("names the origin and the way out when no API owns the address", () => {
    const error = refusal("https://other.example/notes?token=secret");
    expect(error?.message).toContain("https://other.example");
    expect(error?.message).toContain('"apis" in the configuration');
    expect(error?.message).not.toContain("secret");
    expect(error?.details).toEqual({ origin: "https://other.example" });
  });

  it("wants an absolute address", () => {
    expect(refusal("/notes")?.code).toBe("invalid_request");
    expect(refusal("//api.example/v1")?.code).toBe("invalid_request");
  });

  it("keeps nothing of a URL object that its caller changes later", () => {
    const input = new URL("https://api.example/v1/notes");
    const { url } = directory.mustFind(input);
    input.hostname = "evil.example";
    expect(url.hostname).toBe("api.example");
  });

  it("finds an API only for addresses on its origin and under its base path, whatever the text", () => {
    const piece = fc.constantFrom(
      "..",
      ".",
      "%2e%2e",
      "%2f",
      "%5c",
      "%25",
      "/",
      "\\",
      "v1",
      "admin",
      "@",
      ":",
      ";",
      "?",
      "#",
      "evil.example",
      "\t",
    );
    fc.assert(
      fc.property(
        fc.constantFrom("https://api.example/v1/", "https://api.example", "https://"),
        fc.array(piece, { maxLength: 10 }),
        (base, pieces) => {
          const error = refusal(base + pieces.join(""));
          if (error !== undefined) {
            expect(["forbidden", "invalid_request"]).toContain(error.code);
            return;
          }
          const { url } = directory.mustFind(base + pieces.join(""));
          expect(url.origin).toBe("https://api.example");
          const decoded = decodeFully(url.pathname);
          // Whoever normalises after decoding still stays under the base path.
          expect(new URL(decoded.replaceAll("?", "").replaceAll("#", ""), "https://api.example").pathname).toMatch(/^\/v1(\/|$)/);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("tells all problems of all base addresses at once", () => {
    const broken = [
      api("a", "notes"),
      api("b", "ftp://b.example"),
      api("c", "https://u:p@c.example/?x=1"),
      { ...api("d", "https://d.example"), timeoutSeconds: 0 },
    ];
    expect(() => new ApiDirectory(broken)).toThrow(
      expect.objectContaining({
        code: "configuration_invalid",
        details: {
          problems: [
            expect.stringContaining("apis.a.baseUrl"),
            expect.stringContaining("apis.b.baseUrl"),
            expect.stringContaining("apis.c.baseUrl must not carry credentials"),
            expect.stringContaining("apis.c.baseUrl must have neither query"),
            expect.stringContaining("apis.d.timeoutSeconds"),
          ],
        },
      }),
    );
  });
});

function decodeFully(text: string): string {
  const next = text.replace(/%(2e|2f|3b|5c|25)/gi, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
  return next === text ? text : decodeFully(next);
}
