import type { Target } from "./behaviour.ts";
import { isAt, type RequestFacts } from "./request-facts.ts";

/** Which requests came, and which are under way. */
export class Traffic {
  readonly #counts = new Map<RequestFacts["target"], number>();
  #arrivals: { readonly target: Target; readonly arrived: () => void }[] = [];
  #idle: (() => void)[] = [];
  readonly #open: RequestFacts["target"][] = [];
  readonly #most = new Map<Target, number>();

  begin(target: RequestFacts["target"]): void {
    this.#open.push(target);
    for (const each of [target, "token", "any"] as const)
      if (isAt(each, target)) this.#most.set(each, Math.max(this.mostAtOnce(each), this.#open.filter((open) => isAt(each, open)).length));
    this.#counts.set(target, (this.#counts.get(target) ?? 0) + 1);
    const waiting = this.#arrivals;
    this.#arrivals = waiting.filter((each) => !isAt(each.target, target));
    for (const each of waiting) if (isAt(each.target, target)) each.arrived();
  }

  end(target: RequestFacts["target"]): void {
    this.#open.splice(this.#open.indexOf(target), 1);
    if (this.#open.length === 0) for (const settle of this.#idle.splice(0)) settle();
  }

  count(target: Target): number {
    return [...this.#counts].reduce((sum, [each, count]) => (isAt(target, each) ? sum + count : sum), 0);
  }

  mostAtOnce(target: Target): number {
    return this.#most.get(target) ?? 0;
  }

  next(target: Target): Promise<void> {
    return new Promise((arrived) => this.#arrivals.push({ target, arrived }));
  }

  settled(): Promise<void> {
    return this.#open.length === 0 ? Promise.resolve() : new Promise((settle) => this.#idle.push(settle));
  }
}
