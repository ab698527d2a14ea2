import type { AnswerBehaviour, Behaviour, DelayBehaviour, Moment, RotationBehaviour, Scope, Target } from "./behaviour.ts";
import { isAt, type RequestFacts } from "./request-facts.ts";

/** A behaviour that was set. */
export interface Rule {
  readonly behaviour: Behaviour;
  readonly scope: Scope;
  /** How many requests it was chosen for. */
  readonly hits: number;
  /** Takes it away. Twice: nothing. */
  clear(): void;
}

/** The behaviours that were chosen for one request, at most one in each slot. */
export interface Plan {
  get<Kind extends Behaviour["kind"]>(kind: Kind): Extract<Behaviour, { kind: Kind }> | undefined;
  readonly rotation: RotationBehaviour;
  answer(at: Moment): AnswerBehaviour | undefined;
  delay(at: Moment): DelayBehaviour | undefined;
}

interface OwnRule {
  /** Undefined: none for this request. */
  choose(facts: RequestFacts): Behaviour | undefined;
  readonly scope: Scope;
  hits: number;
}

/** Which behaviour is for which request. The last one set wins. */
export class BehaviourRules {
  readonly #always: readonly OwnRule[];
  #rules: OwnRule[];

  constructor(always: readonly Behaviour[]) {
    this.#always = always.map((behaviour) => ({ choose: () => behaviour, scope: {}, hits: 0 }));
    this.#rules = [...this.#always];
  }

  set(behaviour: Behaviour, scope: Scope): Rule {
    const rule = this.choose(() => behaviour, scope);
    return {
      behaviour,
      scope,
      get hits() {
        return rule.hits;
      },
      clear: () => rule.clear(),
    };
  }

  /** `choose` is asked for each request in the scope, which is that of refreshes unless it says otherwise. */
  choose(choose: (facts: RequestFacts) => Behaviour | undefined, scope: Scope): Pick<Rule, "hits" | "clear"> {
    const rule: OwnRule = { choose, scope, hits: 0 };
    this.#rules.push(rule);
    return {
      get hits() {
        return rule.hits;
      },
      clear: () => {
        this.#rules = this.#rules.filter((each) => each !== rule);
      },
    };
  }

  /** Back to what was there at the start. */
  clear(): void {
    this.#rules = [...this.#always];
  }

  /** Chooses for one request, and counts it. */
  plan(facts: RequestFacts): Plan {
    const chosen = new Map<string, Behaviour>();
    for (const rule of this.#rules.toReversed()) {
      if (!isInScope(rule, facts)) continue;
      const behaviour = rule.choose(facts);
      if (behaviour === undefined || !isAt(rule.scope.target ?? usualTarget(behaviour), facts.target)) continue;
      const slot = slotOf(behaviour);
      if (chosen.has(slot)) continue;
      rule.hits += 1;
      chosen.set(slot, behaviour);
    }
    return planOf([...chosen.values()]);
  }
}

function isInScope({ scope, hits }: OwnRule, facts: RequestFacts): boolean {
  if (scope.next !== undefined && hits >= scope.next) return false;
  if (scope.subject !== undefined && scope.subject !== facts.subject) return false;
  if (scope.clientId !== undefined && scope.clientId !== facts.clientId) return false;
  return scope.target === undefined || isAt(scope.target, facts.target);
}

function planOf(behaviours: readonly Behaviour[]): Plan {
  return {
    get: (kind) => behaviours.find((each): each is Extract<Behaviour, { kind: typeof kind }> => each.kind === kind),
    rotation: behaviours.find(isRotation) ?? { kind: "strict_rotation" },
    answer: (at) => behaviours.filter(isAnswer).find((each) => momentOf(each) === at),
    delay: (at) => behaviours.filter(isDelay).find((each) => each.at === at),
  };
}

function slotOf(behaviour: Behaviour): string {
  if (isRotation(behaviour)) return "rotation";
  if (isAnswer(behaviour)) return "answer";
  if (isDelay(behaviour)) return `delay ${behaviour.at}`;
  return behaviour.kind;
}

function isRotation(behaviour: Behaviour): behaviour is RotationBehaviour {
  return ["strict_rotation", "grace_rotation", "no_rotation", "late_rotation"].includes(behaviour.kind);
}

function isDelay(behaviour: Behaviour): behaviour is DelayBehaviour {
  return behaviour.kind === "slow" || behaviour.kind === "held";
}

function isAnswer(behaviour: Behaviour): behaviour is AnswerBehaviour {
  return ["lost", "unavailable", "gateway_error", "html_page", "cut_off", "empty", "oauth_error", "answer"].includes(behaviour.kind);
}

function momentOf(behaviour: AnswerBehaviour): Moment {
  return behaviour.kind === "cut_off" ? "after" : (behaviour.at ?? "before");
}

function usualTarget(behaviour: Behaviour): Target {
  switch (behaviour.kind) {
    case "access_token_life":
    case "refresh_token_life":
    case "id_token_algorithm":
      return "token";
    case "shared_grant":
    case "revocation":
      // Discovery is asked as well: an endpoint that is absent is not in the document.
      return "any";
    case "clock_skew":
      return "any";
    case "introspection":
      return "introspection";
    case "discovery_redirect":
    case "discovery_fields":
      return "discovery";
    case "strict_rotation":
    case "grace_rotation":
    case "no_rotation":
    case "late_rotation":
    case "early_refresh_refused":
    case "old_access_token_dies":
    case "reply_fields":
    case "id_token":
    case "lost":
    case "unavailable":
    case "gateway_error":
    case "html_page":
    case "cut_off":
    case "empty":
    case "oauth_error":
    case "answer":
    case "slow":
    case "held":
      return "refresh";
  }
}
