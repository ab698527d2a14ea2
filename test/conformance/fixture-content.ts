/*
 * What the official conformance suite wants to find on the server that it tests: names, texts and schemas are its own.
 * No era is in it: each of the two fixtures puts it on its SDK's server.
 */

/** A PNG of one pixel. */
const png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/** A WAV without a sample. */
const wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

export const noArguments = { type: "object" as const, properties: {} };

const text = (value: string) => ({ type: "text" as const, text: value });
const image = { type: "image" as const, data: png, mimeType: "image/png" };

/** An answer with this text. */
export const textResult = (value: string) => ({ content: [text(value)] });

/** Tools that always answer the same. */
export const fixedTools = {
  test_simple_text: () => textResult("This is a simple text response for testing."),
  test_image_content: () => ({ content: [image] }),
  test_audio_content: () => ({ content: [{ type: "audio" as const, data: wav, mimeType: "audio/wav" }] }),
  test_embedded_resource: () => ({
    content: [
      {
        type: "resource" as const,
        resource: { uri: "test://embedded-resource", mimeType: "text/plain", text: "This is an embedded resource content." },
      },
    ],
  }),
  test_multiple_content_types: () => ({
    content: [
      text("Multiple content types test:"),
      image,
      {
        type: "resource" as const,
        resource: { uri: "test://mixed-content-resource", mimeType: "application/json", text: '{"test":"data","value":123}' },
      },
    ],
  }),
  test_error_handling: () => ({ ...textResult("This tool intentionally returns an error for testing"), isError: true }),
} as const;

export const prompts = [
  { name: "test_simple_prompt", description: "Without arguments" },
  {
    name: "test_prompt_with_arguments",
    description: "With two arguments",
    arguments: [
      { name: "arg1", description: "The first", required: true },
      { name: "arg2", description: "The second", required: true },
    ],
  },
  {
    name: "test_prompt_with_embedded_resource",
    description: "With a resource in it",
    arguments: [{ name: "resourceUri", description: "Its URI", required: true }],
  },
  { name: "test_prompt_with_image", description: "With an image in it" },
];

type PromptContent =
  | ReturnType<typeof text>
  | typeof image
  | { readonly type: "resource"; readonly resource: { uri: string; mimeType: string; text: string } };
const said = (...contents: readonly PromptContent[]) => ({
  messages: contents.map((content) => ({ role: "user" as const, content })),
});

/** The prompt of this name; undefined: there is none. */
export function getPrompt(name: string, args: Readonly<Record<string, string>> = {}) {
  switch (name) {
    case "test_simple_prompt":
      return said(text("This is a simple prompt for testing."));
    case "test_prompt_with_arguments":
      return said(text(`Prompt with arguments: arg1='${args["arg1"]}', arg2='${args["arg2"]}'`));
    case "test_prompt_with_embedded_resource": {
      const resource = { uri: String(args["resourceUri"]), mimeType: "text/plain", text: "Embedded resource content for testing." };
      return said({ type: "resource" as const, resource }, text("Please process the embedded resource above."));
    }
    case "test_prompt_with_image":
      return said(image, text("Please analyze the image above."));
    default:
      return undefined;
  }
}

export const resources = [
  { uri: "test://static-text", name: "static-text", description: "A text", mimeType: "text/plain" },
  { uri: "test://static-binary", name: "static-binary", description: "An image", mimeType: "image/png" },
  { uri: "test://watched-resource", name: "watched-resource", description: "One that can be watched", mimeType: "text/plain" },
];

export const resourceTemplates = [
  { uriTemplate: "test://template/{id}/data", name: "template", description: "Data by id", mimeType: "application/json" },
];

/** The resource at this URI; undefined: there is none. */
export function readResource(uri: string) {
  if (uri === "test://static-binary") return { contents: [{ uri, mimeType: "image/png", blob: png }] };
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id !== undefined) {
    const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
    return { contents: [{ uri, mimeType: "application/json", text: data }] };
  }
  const texts: Readonly<Record<string, string>> = {
    "test://static-text": "This is the content of the static text resource.",
    "test://watched-resource": "Nothing has changed.",
  };
  const known = texts[uri];
  return known === undefined ? undefined : { contents: [{ uri, mimeType: "text/plain", text: known }] };
}

export const completion = { completion: { values: ["paris", "park", "party"], total: 3, hasMore: false } };

/** The steps that a tool with progress tells. */
export const progressSteps = [0, 50, 100] as const;
