/** How long one pull has waited and may wait, and what for. Whether it must wait is decided elsewhere (`pulls.ts`). */
import type { WaitReason } from '../protocol/messages.js';

/** A pull that waits for less than this is not worth a message. */
const NOTICE_AFTER_MS = 100;

/** `enoughAt` of a pull that takes any version, or none, by now. */
export const PAST: number = Number.NEGATIVE_INFINITY;

/** The wait of one pull. */
export class PullWait {
  readonly since: number;
  deadline: number;
  /** When a pull that waits for news will take any, or none. */
  enoughAt: number;
  noticeAt: number;
  lastNotice = '';
  /** Why it began to wait. */
  reason: WaitReason | undefined = undefined;
  /** Since when only others' transfers have kept it from being answered. */
  heldUpSince: number | undefined = undefined;
  /** The clock that it awaits from others, while the ledger has it. */
  awaits: number | undefined = undefined;

  constructor(now: number, timeoutMs: number, withinMs: number = Number.POSITIVE_INFINITY) {
    this.since = now;
    this.deadline = now + timeoutMs;
    this.enoughAt = now + withinMs;
    this.noticeAt = now + NOTICE_AFTER_MS;
  }

  /** When there is something to do about it. */
  get dueAt(): number {
    return Math.min(this.deadline, this.noticeAt, this.enoughAt === PAST ? this.deadline : this.enoughAt);
  }
}
