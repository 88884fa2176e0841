/**
 * One pull, from the caller's request to its last byte. It may be asked several times, over several
 * connections; the caller sees one. Chunks are copied straight to where the caller wants them.
 *
 *     waiting its turn ──ask──▶ asked ──begin──▶ receiving ──last byte──▶ answered
 *            ▲                    └───────rewind────┘
 *            └──────────────────────────┘ (the connection was lost)
 */
import { type Laggard, PsError } from '../base/errors.js';
import { MAX_SPANS } from '../protocol/limits.js';
import type { Pull, PullChunk, PullResult, WaitReason } from '../protocol/messages.js';
import { MessageType } from '../protocol/messages.js';
import { bytesOf } from '../protocol/modelStream.js';
import type { PullRows } from '../protocol/rowMessages.js';
import type { VersionStamp } from '../protocol/versionStamp.js';
import type { CatalogueEntry } from '../tensor/catalogue.js';
import type { PullAnswer, PullCommand } from './events.js';
import { describeLaggards, unexpected } from './faults.js';
import { SpannedRange, touchedBy } from './spannedRange.js';
import { TensorRange } from './tensorRange.js';

const NO_BYTES = new Uint8Array(0);

/** A pull that is not answered yet. */
export class PullOperation {
  readonly kind = 'pull';
  readonly command: PullCommand;
  /** The caller's request. */
  readonly request: number;
  /** Whether the present connection carries it. */
  isSent = false;
  /** Its number on the present connection. */
  wire = 0;
  readonly #entries: readonly Pick<CatalogueEntry, 'length'>[];
  #deadline: number;
  /** The clock that it is for; undefined: not asked yet. */
  #clock: number | undefined;
  #range: TensorRange | undefined;
  /** Where the answer goes: all of the range, or some of it. */
  #target: TensorRange | SpannedRange | undefined;
  /** Another version's bytes, of everything, have begun to come over the copy. */
  #isSpoiled = false;
  #result: PullResult | undefined;
  #received = 0;
  #scratch = NO_BYTES;
  #version = 0;
  #waiting:
    | { readonly reason: WaitReason; readonly laggards: readonly Laggard[]; readonly since: number }
    | undefined;

  constructor(command: PullCommand, entries: readonly Pick<CatalogueEntry, 'length'>[], now: number) {
    this.command = command;
    this.request = command.request;
    this.#entries = entries;
    this.#deadline = now + command.timeoutMs;
  }

  /** When it is given up. */
  get deadline(): number {
    return this.isSent || this.#countsOffline ? this.#deadline : Number.POSITIVE_INFINITY;
  }

  get #countsOffline(): boolean {
    return this.command.countsOffline ?? true;
  }

  /**
   * The message that asks for it, numbered `wire`. `clock`: of the worker's next step; the pull is for the one
   * that the command says, and stays for it when it is asked again.
   */
  ask(wire: number, clock: number, ifNewerThan: VersionStamp | undefined, now: number): Pull | PullRows {
    const {
      tensors,
      rows,
      training,
      ahead = 0,
      wait,
      versions,
      withinMs,
      consistent,
      timeoutMs,
    } = this.command;
    // The time in which it waited for its turn is not the server's. Being asked again is a new start for some only.
    if (this.#clock === undefined || !this.#countsOffline) this.#deadline = now + timeoutMs;
    this.#clock ??= clock + ahead;
    this.isSent = true;
    this.wire = wire;
    if (rows !== undefined) {
      const bytes = rows.words.byteLength;
      return {
        t: MessageType.pullRows,
        request: wire,
        training,
        clock: this.#clock,
        table: rows.table,
        bytes,
      };
    }
    const isConditional = ifNewerThan !== undefined;
    return {
      t: MessageType.pull,
      request: wire,
      training,
      clock: this.#clock,
      tensors,
      ifNewerThan,
      wait: wait && isConditional,
      consistent,
      versions,
      withinMs,
      spans: this.command.copyOf === undefined ? undefined : MAX_SPANS,
    };
  }

  /** What the caller's copy is; undefined: it has none. */
  get copied(): VersionStamp | undefined {
    return this.#isSpoiled ? undefined : this.command.copyOf?.[0];
  }

  /** Bytes of the ids that go with the message; undefined: none do. */
  get ids(): Uint8Array | undefined {
    const { rows } = this.command;
    return rows === undefined ? undefined : bytesOf(rows.words);
  }

  /** The connection is lost: what has arrived counts for nothing. */
  rewind(): void {
    this.isSent = false;
    this.#result = undefined;
    this.#target = undefined;
    this.#received = 0;
    this.#waiting = undefined;
  }

  /** After a rollback it is for the clock that the server says. */
  forgetClock(): void {
    this.#clock = undefined;
  }

  /** Takes the head of the answer; true if it is complete. Throws `PS_PROTOCOL` if it does not fit. */
  begin(result: PullResult, payload: Uint8Array, now: number): boolean {
    if (this.#result !== undefined) throw unexpected('a second answer to one pull');
    if (result.notModified && (this.command.ifNewerThan ?? this.copied) === undefined) {
      throw unexpected('"not modified" for an unconditional pull');
    }
    this.#waiting = undefined;
    this.#result = result;
    this.#version = result.version;
    if (result.notModified) return true;
    this.#target = this.#targetOf(result);
    this.#isSpoiled ||= result.spans === undefined;
    if (result.bytes !== this.#target.byteLength) {
      throw unexpected(`${result.bytes} bytes for tensors of ${this.#target.byteLength}`);
    }
    return this.#take(payload, now);
  }

  /** Takes more of the answer; true if it is complete. Throws `PS_PROTOCOL` if it does not fit. */
  chunk(chunk: PullChunk, payload: Uint8Array, now: number): boolean {
    if (this.#result === undefined || this.#result.notModified || chunk.offset !== this.#received) {
      throw unexpected('a chunk out of order');
    }
    // A pull that need not be consistent counts as pulled at its oldest bytes.
    this.#version = Math.min(this.#version, chunk.version);
    return this.#take(payload, now);
  }

  /** Where the payload of `message`, the next of the answer, may be written before it is taken. */
  place(message: PullResult | PullChunk, bytes: number): Uint8Array | undefined {
    const isHead = message.t === MessageType.pullResult;
    const isNext = isHead
      ? this.#result === undefined && !message.notModified
      : message.offset === this.#received;
    if (!isNext || (!isHead && this.#result === undefined)) return undefined;
    // Bytes may come before it is known whether the message is whole: a copy is not to have them then.
    if (isHead && this.command.copyOf !== undefined) return undefined;
    const target = this.#target ?? this.#destination();
    const place = target.view(this.#received, this.#received + bytes);
    if (place !== undefined || bytes > target.byteLength) return place;
    // It belongs to several arrays: it is moved there as soon as it has come, and the next may come here too.
    if (this.#scratch.length < bytes) this.#scratch = new Uint8Array(bytes);
    return this.#scratch.subarray(0, bytes);
  }

  /** The server says why it does not answer yet. */
  wait(reason: WaitReason, laggards: readonly Laggard[], now: number): void {
    this.#waiting = { reason, laggards, since: now };
  }

  /** The lowest version among the bytes received. */
  get version(): number {
    return this.#version;
  }

  /** Requires a complete answer. `stamp` is of its version. */
  answer(stamp: VersionStamp): PullAnswer {
    const { clock = 0, minClock = 0, bytes = 0, notModified = false } = this.#result ?? {};
    return {
      arrays: notModified ? undefined : this.#destination().arrays,
      changed: this.#changed(),
      version: this.#version,
      pulled: [stamp],
      clock,
      minClock,
      bytes: notModified ? 0 : bytes,
    };
  }

  /** The error of a pull whose deadline has passed. `unreachable`: why there is no connection. */
  timeoutError(now: number, unreachable: string | undefined): PsError {
    const limit = `no answer to a pull within ${this.command.timeoutMs} ms`;
    if (unreachable !== undefined) {
      return new PsError('PS_PULL_TIMEOUT', `${limit}: the server could not be reached: ${unreachable}`);
    }
    if (this.#waiting === undefined) {
      return new PsError('PS_PULL_TIMEOUT', `${limit}: the server did not say why`);
    }
    const { reason, since } = this.#waiting;
    const laggards = this.#waiting.laggards.map((each) => ({
      ...each,
      lastSeenMs: each.lastSeenMs + (now - since),
    }));
    const text = laggards.length > 0 ? `it waits for ${describeLaggards(laggards)}` : `it waits (${reason})`;
    return new PsError('PS_PULL_TIMEOUT', `${limit}: ${text}`, { details: { laggards } });
  }

  /** Throws `PS_PROTOCOL` for spans that were not asked for, or lie elsewhere. */
  #targetOf({ spans }: PullResult): TensorRange | SpannedRange {
    const range = this.#destination();
    if (spans === undefined) return range;
    const isAsked = this.copied !== undefined && 4 * (spans.at(-1) ?? 0) <= range.byteLength;
    if (!isAsked) throw unexpected('a part of the parameters that was not asked for');
    return new SpannedRange(range, spans);
  }

  #changed(): readonly number[] | undefined {
    const spans = this.#result?.spans;
    if (spans === undefined) return undefined;
    return touchedBy(
      spans,
      this.#entries.map(({ length }) => length),
    );
  }

  /** The caller's arrays, or new ones that stand one behind the other, so that a chunk is one copy. */
  #destination(): TensorRange {
    if (this.#range !== undefined) return this.#range;
    const { into } = this.command;
    let length = 0;
    for (const entry of this.#entries) length += entry.length;
    const all = into === undefined ? new Float32Array(length) : undefined;
    let at = 0;
    const arrays = this.#entries.map((entry, i) => {
      const own = all?.subarray(at, at + entry.length) ?? into?.[i] ?? new Float32Array(entry.length);
      at += entry.length;
      return own;
    });
    this.#range = new TensorRange(arrays);
    return this.#range;
  }

  #take(payload: Uint8Array, now: number): boolean {
    const target = this.#target as TensorRange | SpannedRange;
    if (this.#received + payload.length > target.byteLength)
      throw unexpected('more bytes than were announced');
    target.write(this.#received, payload);
    this.#received += payload.length;
    this.#deadline = now + this.command.timeoutMs;
    return this.#received === target.byteLength;
  }
}
