/**
 * Pushes as they arrive: their bytes are gathered in a staging area and checked (known tensors, length,
 * finiteness, norm) before anything is decided. A push of one chunk is used where it was received.
 *
 *     Push ──▶ awaiting room ──▶ gathering ──last byte──▶ complete
 *       └───▶ discarding (refused, or already decided) ─────┘
 */
import { asPsError, PsError } from '../base/errors.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Shard } from '../partition/keyRange.js';
import type { Push } from '../protocol/messages.js';
import { bytesOf, floatsOf } from '../protocol/modelStream.js';
import type { PayloadPlace } from '../protocol/payloadPlace.js';
import type { NonFinite } from '../protocol/sessionMessages.js';
import type { TableSpec } from '../table/embeddingTable.js';
import type { StagingPool } from '../table/stagingPool.js';
import type { Catalogue, Selection } from '../tensor/catalogue.js';
import { elementsOfRows, piecesOfRows } from '../tensor/rowLayout.js';
import type { Progress } from './contention.js';
import { ElementCheck, type ElementPiece } from './elementCheck.js';

/** What is checked of a push before it is decided. */
export interface PushRules {
  readonly catalogue: Catalogue;
  readonly tables: readonly Pick<TableSpec, 'name' | 'maxRows'>[];
  /** Numbers per row of each table. */
  readonly dims: readonly number[];
  readonly kernels: Kernels;
  readonly nonFinite: NonFinite;
  /** Largest norm taken; Infinity: any. */
  readonly maxPushNorm: number;
  /** Of a group: pushes are slices of gradients, and say the norm of the whole. */
  readonly shard: Shard;
  /** Longest push taken, in bytes. */
  readonly maxPushBytes: number;
}

/** By so much the sum over a slice may be above that of the whole gradient: they are summed in other blocks. */
const SUM_TOLERANCE = 1e-6;

/** One push on its way in. */
export class IncomingPush {
  readonly message: Push;
  readonly connection: number;
  readonly selection: Selection | undefined;
  /** Why it is refused, found so far. */
  fault: PsError | undefined;
  /** Where its bytes go; undefined while it waits for room or is discarded. */
  gradient: Float32Array | undefined;
  /** Of the whole gradient, once all is there. */
  normSquared = 0;
  /** It has no area yet and keeps its chunks. */
  isAwaitingRoom = false;
  /** Nobody wants it any more. */
  isCancelled = false;
  readonly #since: number;
  readonly #rules: PushRules;
  readonly #kept: Uint8Array[] = [];
  #area: Float32Array | undefined;
  #chargedBytes = 0;
  #received = 0;
  #isDiscarded: boolean;
  #check: ElementCheck | undefined;

  /** `since`: when it began. */
  constructor(message: Push, connection: number, rules: PushRules, isDiscarded: boolean, since: number) {
    this.#since = since;
    this.message = message;
    this.connection = connection;
    this.#rules = rules;
    try {
      this.selection = selectionOf(message, rules);
      const pieces = piecesOf(message, this.selection, rules);
      this.#check = new ElementCheck(pieces, rules.kernels, rules.nonFinite, rules.shard);
    } catch (error) {
      this.fault = asPsError(error);
    }
    this.#isDiscarded = isDiscarded || this.fault !== undefined;
  }

  /** Its bytes are counted and dropped. */
  get isDiscarded(): boolean {
    return this.#isDiscarded;
  }

  /** Whether every byte has come and is checked. */
  get isComplete(): boolean {
    return this.#received === this.message.bytes && !this.isAwaitingRoom;
  }

  /** How far it is. */
  get progress(): Progress {
    return { since: this.#since, doneBytes: this.#received, totalBytes: this.message.bytes };
  }

  /** The next byte that is expected. */
  get received(): number {
    return this.#received;
  }

  /**
   * Takes the first payload, which may stand in an area already. Returns false if it needs one and `pool` has
   * no room now, or is undefined: others wait for room.
   */
  begin(payload: Uint8Array, pool: StagingPool | undefined, area?: Float32Array): boolean {
    if (this.isDiscarded) {
      this.#received = payload.length;
      return true;
    }
    if (payload.length === this.message.bytes && (area !== undefined || this.#charge(pool))) {
      this.#area = area;
      this.gradient = area ?? floatsOf(payload);
      this.#received = payload.length;
      this.#look();
      return true;
    }
    this.#kept.push(payload);
    this.#received = payload.length;
    this.isAwaitingRoom = true;
    return pool !== undefined && this.takeRoom(pool);
  }

  /** Room for what stays where it was received: it counts like an area. */
  #charge(pool: StagingPool | undefined): boolean {
    const { bytes } = this.message;
    if (bytes > 0 && pool?.charge(bytes) !== true) return false;
    this.#chargedBytes = bytes;
    return true;
  }

  /** Tries to get an area; what was kept moves into it. */
  takeRoom(pool: StagingPool): boolean {
    let area: Float32Array | undefined;
    try {
      area = pool.take(this.message.bytes / 4, this.message.rows !== undefined);
    } catch (cause) {
      this.#discard(
        new PsError('PS_LIMIT', `no memory for a push of ${this.message.bytes} bytes`, { cause }),
      );
      return true;
    }
    if (area === undefined) return false;
    this.#area = area;
    this.gradient = area;
    this.isAwaitingRoom = false;
    const bytes = bytesOf(area);
    let at = 0;
    for (const payload of this.#kept.splice(0)) {
      bytes.set(payload, at);
      at += payload.length;
    }
    this.#look();
    return true;
  }

  /** Where the next `bytes` bytes may be written; undefined: they are to be brought by `add`. */
  placeOf(bytes: number): PayloadPlace | undefined {
    const area = this.#area;
    const begin = this.#received;
    if (area === undefined || begin + bytes > this.message.bytes) return undefined;
    const onFilled = (count: number): void => {
      // Only while it is the same area: afterwards it may be another push's.
      if (this.#area === area) this.#check?.advance(area, Math.floor((begin + count) / 4));
    };
    return { bytes: bytesOf(area).subarray(begin, begin + bytes), onFilled };
  }

  #discard(fault: PsError): void {
    this.fault = fault;
    this.#isDiscarded = true;
    this.isAwaitingRoom = false;
    if (this.#kept.length > 0) this.#kept.length = 0;
  }

  /** Takes the next chunk, which may stand in its place already. REQUIRES: it begins at `received` and does not go past the end. */
  add(payload: Uint8Array): void {
    if (this.isAwaitingRoom) this.#kept.push(payload);
    else if (this.#area !== undefined && !this.#isInPlace(payload)) {
      bytesOf(this.#area).set(payload, this.#received);
    }
    this.#received += payload.length;
    if (this.gradient !== undefined) this.#look();
  }

  /** Gives the staging area back; afterwards the gradient may be overwritten. Repeating it is harmless. */
  release(pool: StagingPool): void {
    if (this.#area !== undefined) pool.give(this.#area);
    pool.refund(this.#chargedBytes);
    this.#chargedBytes = 0;
    this.#area = undefined;
    this.gradient = undefined;
    if (this.#kept.length > 0) this.#kept.length = 0;
  }

  /** Checks what has come, while it is in cache. */
  #look(): void {
    const check = this.#check as ElementCheck;
    check.advance(this.gradient as Float32Array, this.#received / 4);
    this.normSquared = check.normSquared;
    if (this.#received === this.message.bytes) this.fault ??= check.fault ?? this.#judge();
  }

  #isInPlace(payload: Uint8Array): boolean {
    const area = this.#area as Float32Array;
    return payload.buffer === area.buffer && payload.byteOffset === area.byteOffset + this.#received;
  }

  #judge(): PsError | undefined {
    if (this.#rules.shard.count > 1) return this.#judgeSlice();
    return this.#judgeFinite() ?? this.#judgeNorm();
  }

  /** All shards of a group decide by the same norm, that of the whole gradient. */
  #judgeSlice(): PsError | undefined {
    const { normSquared } = this.message;
    const own = this.normSquared;
    if (normSquared === undefined) {
      return new PsError('PS_PROTOCOL', 'a push to a shard must say normSquared, that of the whole gradient');
    }
    const fault = this.#judgeFinite();
    if (fault !== undefined) return fault;
    if (this.#rules.nonFinite !== 'allow' && !Number.isFinite(normSquared)) {
      return new PsError('PS_NOT_FINITE', `the push says that its norm is ${Math.sqrt(normSquared)}`);
    }
    if (own > normSquared * (1 + SUM_TOLERANCE)) {
      const norms = `norm ${Math.sqrt(own)}, and the push says that the whole has ${Math.sqrt(normSquared)}`;
      return new PsError('PS_NORM_EXCEEDED', `a slice of the gradient has ${norms}`);
    }
    this.normSquared = normSquared;
    return this.#judgeNorm();
  }

  #judgeFinite(): PsError | undefined {
    if (Number.isFinite(this.normSquared) || this.#rules.nonFinite !== 'reject') return undefined;
    const tensor = this.#findNonFinite();
    return new PsError('PS_NOT_FINITE', `the gradient of "${tensor}" holds a value that is not finite`, {
      details: { tensor },
    });
  }

  #judgeNorm(): PsError | undefined {
    const { maxPushNorm } = this.#rules;
    const norm = Math.sqrt(this.normSquared);
    // What is not finite and allowed has no norm to judge.
    if (!(norm > maxPushNorm) || norm === Number.POSITIVE_INFINITY) return undefined;
    return new PsError('PS_NORM_EXCEEDED', `the push has norm ${norm}; maxPushNorm is ${maxPushNorm}`);
  }

  #findNonFinite(): string {
    const { selection, message, gradient } = this;
    const { tables, dims } = this.#rules;
    let at = 0;
    for (const entry of selection?.entries ?? []) {
      const part = (gradient as Float32Array).subarray(at, at + entry.length);
      if (!part.every(Number.isFinite)) return entry.name;
      at += entry.length;
    }
    for (const { table, isIds, begin, end } of piecesOfRows(message.rows ?? [], dims, at)) {
      const part = (gradient as Float32Array).subarray(begin, end);
      if (!isIds && !part.every(Number.isFinite)) return (tables[table] as { name: string }).name;
    }
    return '';
  }
}

/** The tensors of a push. Throws the typed error that refuses it. */
function selectionOf(message: Push, { catalogue, tables, dims, maxPushBytes }: PushRules): Selection {
  const selection = catalogue.select(message.tensors);
  for (const entry of selection.entries) {
    if (entry.trainable) continue;
    throw new PsError('PS_NOT_TRAINABLE', `"${entry.name}" is not trainable: push no gradient for it`, {
      details: { tensor: entry.name },
    });
  }
  const rows = message.rows ?? [];
  for (const { table, count } of rows) {
    const found = tables[table];
    if (found === undefined) throw new PsError('PS_UNKNOWN_TENSOR', `no table has position ${table}`);
    if (count <= found.maxRows) continue;
    const text = `${count} rows of table "${found.name}" in one push: it may have ${found.maxRows}`;
    throw new PsError('PS_TABLE_FULL', text, { details: { tensor: found.name } });
  }
  const bytes = 4 * (selection.length + elementsOfRows(rows, dims));
  if (bytes > maxPushBytes) {
    const text = `a push of ${bytes} bytes; the server takes ${maxPushBytes} (limits.stagingBytes): push fewer rows at once`;
    throw new PsError('PS_LIMIT', text);
  }
  if (bytes === message.bytes) return selection;
  throw new PsError(
    'PS_WRONG_LENGTH',
    `the push announces ${message.bytes} bytes; its ${selection.entries.length} tensors and rows of ${rows.length} tables have ${bytes}`,
  );
}

function piecesOf({ rows = [] }: Push, { length }: Selection, { tables, dims }: PushRules): ElementPiece[] {
  const pieces = piecesOfRows(rows, dims, length);
  return [
    { isIds: false, begin: 0, end: length },
    ...pieces.map((piece) => ({ ...piece, name: (tables[piece.table] as { name: string }).name })),
  ];
}
