/**
 * One worker's life across reconnects. The durable part is O(1) and is saved with the parameters; the
 * volatile part says where its connection stands and is gone with the process.
 */
import type { Outcome } from '../protocol/messages.js';
import type { OrderedMessage } from './inbox.js';
import type { PushFault } from './records.js';

/** What was decided about one push: enough to answer it again. */
export interface PushAnswer {
  readonly seq: number;
  readonly outcome: Outcome | 'refused';
  readonly fault?: PushFault | undefined;
  readonly version: number;
  readonly delay: number;
  /** Of a data shard: its examples were counted before. */
  readonly isDuplicate?: boolean | undefined;
  /** How far the data shard was counted then; undefined: it was over. */
  readonly progress?: number | undefined;
}

/** Answers kept per session: more than the pushes that a worker may leave unanswered. */
export const KEPT_ANSWERS = 8;

/** A session of a worker or reader. */
export class Session {
  readonly id: string;
  /** Secret name of the process, as it chose it. */
  readonly key: string;
  /** +1 for each new process under this id. */
  readonly epoch: number;
  readonly isReader: boolean;

  // Durable.
  /** Iterations completed. */
  clock = 0;
  /** The last push that was decided, and the last whose decision is committed. */
  decidedSeq = 0;
  committedSeq = 0;
  /** Whether it has ever been in the clock table. */
  hasEntered = false;
  readonly answers: PushAnswer[] = [];

  // Volatile.
  /** It is of an earlier life of the server. */
  isRecovered = false;
  /** The open connection, or undefined. */
  connection: number | undefined;
  /** When anything last arrived from it. */
  lastSeen: number;
  /** When it counts as dead. */
  leaseUntil: number;
  /** While it computes: its lease is not shortened by silence. */
  isComputing = false;
  /** When it last pulled, pushed or ticked as a training worker. */
  lastProgress: number;
  /** Version that holds all its own pushes. */
  ownVersion = 0;
  /** Delay of its last push. */
  lastDelay = 0;
  /** How long its training pulls have waited, those that wait now left out. */
  waitedMs = 0;
  /** How long pulls of others have waited for it; a wait for two is shared. */
  awaitedMs = 0;
  /** Its pulls that wait. */
  waitingPulls = 0;
  /** Messages whose order matters and that are not handled yet. */
  readonly inbox: OrderedMessage[] = [];
  /** Pushes of its connection that have begun and are not answered. */
  unansweredPushes = 0;
  /** The last record that an answer to a request of it waits for. */
  awaitedRecord = 0;
  /** The head of the inbox waits for a decision. */
  isBlocked = false;

  constructor(id: string, key: string, epoch: number, isReader: boolean, now: number) {
    this.id = id;
    this.key = key;
    this.epoch = epoch;
    this.isReader = isReader;
    this.lastSeen = now;
    this.lastProgress = now;
    this.leaseUntil = now;
  }

  /** Remembers what was decided. */
  remember(answer: PushAnswer): void {
    this.decidedSeq = answer.seq;
    this.lastDelay = answer.delay;
    this.answers.push(answer);
    if (this.answers.length > KEPT_ANSWERS) this.answers.shift();
  }

  /** The answer of an earlier push, if it is still kept. */
  answerOf(seq: number): PushAnswer | undefined {
    return this.answers.find((answer) => answer.seq === seq);
  }
}
