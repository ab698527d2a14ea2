/** The few values that a store keeps about itself, by name. */
export interface MetaValues {
  get(name: string): Promise<string | undefined>;
  /** Writes the value unless there is one: of several processes, one does. */
  add(name: string, value: string): Promise<void>;
  /** Replaces `old` if it is still there. */
  replace(name: string, old: string, value: string): Promise<void>;
}
