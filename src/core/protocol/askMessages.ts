/** Asking for counts, and for actions: Stats and Control, and what answers them. The numbers are those of `MessageType`. */

/** Ask for the server's counts. Answered by StatsResult. */
export interface Stats {
  readonly t: 46;
  readonly request: number;
  /** Leave out points of curves up to this time, which an earlier answer gave. */
  readonly after?: number | undefined;
}

/** Ask the server to do something; the payload is a JSON object. Answered by ControlResult or Fault. */
export interface Control {
  readonly t: 47;
  readonly request: number;
  readonly action: string;
}

/** Answers Stats or Control. The payload is JSON. */
export interface AskResult {
  readonly t: 110 | 111;
  readonly request: number;
}

/** What asks. */
export type Ask = Stats | Control;
