/**
 * What the suite measures: a way to move a model between a server and its workers. Each stands in a file
 * of its own under `peers/`, which the driver reads for the description and the child processes for the code.
 */
import type { Part } from './model.js';

/** What a server process is told. */
export interface ServePlan {
  readonly parts: readonly Part[];
  /** This server among those of one model. */
  readonly index: number;
  readonly count: number;
  /** Consistency model, where the peer has any. Default `'asp'`. */
  readonly consistency?: 'bsp' | 'ssp' | 'asp';
  readonly minWorkers?: number;
}

/** What a worker is told. */
export interface ConnectPlan {
  readonly parts: readonly Part[];
  readonly ports: readonly number[];
  /** Rounds end with a tick, and a worker leaves when it has stopped, so that nobody waits for it. */
  readonly ticks: boolean;
  /** It only looks at the result. */
  readonly readOnly?: boolean;
}

/** A running server. */
export interface PeerServer {
  readonly port: number;
  /** The process whose memory counts, if it is not the one that `serve` was called in. */
  readonly pid?: number;
  /** Called when the process is to end. */
  close?(): void;
}

/** A connected worker. */
export interface PeerWorker {
  /** Pulls the whole model, pushes the gradient, and waits for the acknowledgement. */
  round(): Promise<void>;
  /** Pulls the whole model. */
  pull(): Promise<void>;
  /** Pulls the small tensor. */
  pullSmall?(): Promise<void>;
  /** What the last pull brought, part by part. */
  pulled(): readonly Float32Array[];
  /** Where the server keeps no gradients: pushes one more, which the server compares with what it must be. */
  checkPush?(): Promise<void>;
  /** Ends the worker for good. */
  leave?(): Promise<void>;
}

/** A way to move a model. `serve` and `connect` are absent where `command` names another program. */
export interface Peer {
  /** As in `--peers`, and the name of its file. */
  readonly name: string;
  readonly title: string;
  /** Gradients are applied; otherwise the parameters stay what they were. */
  readonly applies: boolean;
  /** Server processes that share the model. Default 1. */
  readonly servers?: number;
  /** With more it would lose updates. Default: no limit. */
  readonly maxWorkers?: number;
  /** Large models are measured with one worker only, unless asked for. */
  readonly isSlow?: boolean;
  /** Makes ready what `command` needs. Returns why the peer can't run here, or undefined. */
  prepare?(buildDir: string): Promise<string | undefined>;
  serve?(plan: ServePlan): Promise<PeerServer>;
  connect?(plan: ConnectPlan): Promise<PeerWorker>;
  /** Program and arguments of a server or a worker that is no Node process. */
  command?(buildDir: string, role: CommandRole): string[];
}

/** The part that a program of another language is to play. */
export type CommandRole =
  | { readonly role: 'server'; readonly bytes: number }
  | { readonly role: 'worker'; readonly bytes: number; readonly port: number; readonly operation: string };
