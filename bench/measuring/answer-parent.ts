import { z } from "zod";
import { readUsage } from "./usage.ts";

const questionSchema = z.object({ id: z.number(), question: z.string(), body: z.unknown() });
const usageQuestion = z.object({ collect: z.boolean() });

/** Answers the questions of the process that started this one, `usage` besides the given ones, until it goes away. */
export function answerParent(answers: Readonly<Record<string, (body: unknown) => Promise<object>>>): void {
  process.on("message", (message) => {
    const { id, question, body } = questionSchema.parse(message);
    const answer = question === "usage" ? readUsage(usageQuestion.parse(body).collect) : answers[question]?.(body);
    Promise.resolve(answer).then(
      (value) => process.send?.({ id, answer: value }),
      (error: unknown) => process.send?.({ id, problem: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  // Not by a signal: a profile is written at an orderly end only.
  process.on("disconnect", () => process.exit(0));
}
