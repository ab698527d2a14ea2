export type { Clock } from "../clock.ts";
export type {
  AnswerBehaviour,
  Behaviour,
  DelayBehaviour,
  EndpointBehaviour,
  IdTokenFlaw,
  Moment,
  RotationBehaviour,
  Scope,
  SigningAlgorithm,
  Target,
  TokenBehaviour,
} from "./behaviour.ts";
export type { Rule } from "./behaviour-rules.ts";
export type { ChaosConnection, ChaosCounts, ChaosPlan, Direction, NewConnection } from "./chaos-plan.ts";
export { type ChaosProxy, type ChaosProxyOptions, startChaosProxy } from "./chaos-proxy.ts";
export { type FaultServer, startFaultServer } from "./fault-server.ts";
export type {
  FamilyState,
  IntrospectionEntry,
  Ledger,
  PresentedAs,
  RefreshEntry,
  RefreshOutcome,
  ReuseEvent,
  RevocationEntry,
} from "./ledger.ts";
export type { ClientAuthentication, DirectLogin, FaultServerClient, FaultServerOptions, IssuedTokens } from "./options.ts";
export type { RequestFacts } from "./request-facts.ts";
