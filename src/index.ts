export { createLatchkey, type Latchkey, type LatchkeyOptions } from "./composition/latchkey.ts";
export { LatchkeyError, type LatchkeyErrorCode } from "./errors.ts";
export { createLogger, type Logger, type LoggerOptions } from "./logger.ts";
export { defineTool, type ToolDefinition } from "./tool/define-tool.ts";
export type {
  LoginSessionStatus,
  ObjectSchema,
  Tool,
  ToolAnnotations,
  ToolContent,
  ToolContext,
  ToolPrincipal,
  ToolResult,
} from "./tool/tool.ts";
