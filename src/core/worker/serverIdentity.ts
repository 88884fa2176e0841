/**
 * Who the worker talks to, over all its connections: one model, or one shard of it, and one history. A server with
 * another model is refused; one with another history, or with less of it, has lost updates.
 */
import { PsError } from '../base/errors.js';
import { keyRangeOf, MAX_SHARDS, type Shard } from '../partition/keyRange.js';
import { decodeCatalogue } from '../protocol/catalogueCodec.js';
import { PROTOCOL_VERSION } from '../protocol/messages.js';
import type { WireTable } from '../protocol/rowMessages.js';
import type { NonFinite, Welcome } from '../protocol/sessionMessages.js';
import { Catalogue } from '../tensor/catalogue.js';

/** The server's model and history, as first met. */
export class ServerIdentity {
  readonly #isMember: boolean;
  #whole: Catalogue | undefined;
  #catalogue: Catalogue | undefined;
  #lineage: string | undefined;
  #incarnation = '';
  #shard: Shard | undefined;
  #group: string | undefined;
  #nonFinite: NonFinite = 'reject';
  #graceMs: number | undefined;

  /** `isMember`: the server may be one of a group. */
  constructor(isMember: boolean) {
    this.#isMember = isMember;
  }

  /** Of what the server holds of the model; undefined before the first Welcome. */
  get catalogue(): Catalogue | undefined {
    return this.#catalogue;
  }

  /** Of the whole model; undefined before the first Welcome. */
  get whole(): Catalogue | undefined {
    return this.#whole;
  }

  /** The server's place among those that hold the model; undefined before the first Welcome. */
  get shard(): Shard | undefined {
    return this.#shard;
  }

  /** The name that all shards of the model have. */
  get group(): string | undefined {
    return this.#group;
  }

  /** What becomes of gradients that are not finite. */
  get nonFinite(): NonFinite {
    return this.#nonFinite;
  }

  /** How long it keeps a worker's place after its connection closed, if it says so. */
  get graceMs(): number | undefined {
    return this.#graceMs;
  }

  /** The server's life as of the last Welcome. */
  get incarnation(): string {
    return this.#incarnation;
  }

  /** The history of the last Welcome. */
  get lineage(): string | undefined {
    return this.#lineage;
  }

  /**
   * The whole model of `welcome`, whose payload is `payload`. Throws `PS_VERSION`, `PS_MODEL_MISMATCH` if it is
   * not the model that was met first, `PS_PROTOCOL` for a payload that is no catalogue.
   */
  check(welcome: Welcome, payload: Uint8Array): Catalogue {
    if (welcome.protocol !== PROTOCOL_VERSION) {
      const text = `the server speaks version ${welcome.protocol} of the protocol, this worker ${PROTOCOL_VERSION}`;
      throw new PsError('PS_VERSION', text);
    }
    this.#checkShard(welcome);
    const met = withTables(decodeCatalogue(payload), welcome.tables ?? []);
    const difference = this.#whole === undefined ? undefined : differenceOf(this.#whole, met);
    if (difference !== undefined) {
      throw new PsError('PS_MODEL_MISMATCH', `the server came back with another model: ${difference}`);
    }
    return this.#whole ?? met;
  }

  #checkShard({ shardIndex, shardCount, group }: Welcome): void {
    const place = `shard ${shardIndex} of ${shardCount}`;
    if (shardIndex >= shardCount || shardCount > MAX_SHARDS) {
      throw new PsError('PS_PROTOCOL', `the server says that it is ${place}`);
    }
    if (!this.#isMember && shardCount !== 1) {
      const text = `the server holds ${place} of a model: a worker needs the urls of all ${shardCount}`;
      throw new PsError('PS_MODEL_MISMATCH', text);
    }
    const known = this.#shard;
    if (known === undefined) return;
    if (known.index === shardIndex && known.count === shardCount && this.#group === group) return;
    const before = `shard ${known.index} of ${known.count} (group ${this.#group ?? 'none'})`;
    throw new PsError(
      'PS_MODEL_MISMATCH',
      `the server came back as ${place} (group ${group ?? 'none'}) instead of ${before}`,
    );
  }

  /** From now on this is the server; `whole` is what `check` gave. */
  adopt(welcome: Welcome, whole: Catalogue): void {
    const shard = { index: welcome.shardIndex, count: welcome.shardCount };
    if (this.#whole === undefined) {
      this.#catalogue = shard.count === 1 ? whole : whole.part(keyRangeOf(whole.length, shard));
    }
    this.#whole = whole;
    this.#shard = shard;
    this.#group = welcome.group;
    this.#nonFinite = welcome.nonFinite ?? 'reject';
    this.#graceMs = welcome.graceMs;
    this.#lineage = welcome.lineage;
    this.#incarnation = welcome.incarnation;
  }
}

/** `catalogue` with `tables` beside its tensors. Throws `PS_PROTOCOL` if names are there twice. */
function withTables(catalogue: Catalogue, tables: readonly WireTable[]): Catalogue {
  const names = new Set(tables.map(({ name }) => name));
  if (names.size < tables.length || catalogue.entries.some(({ name }) => names.has(name))) {
    throw new PsError('PS_PROTOCOL', 'two parts of the model have the same name');
  }
  return tables.length === 0 ? catalogue : new Catalogue(catalogue.entries, undefined, tables);
}

/** How the model `met` differs from `known`, or undefined. */
export function differenceOf(known: Catalogue, met: Catalogue): string | undefined {
  if (known.entries.length !== met.entries.length) {
    return `${met.entries.length} tensors instead of ${known.entries.length}`;
  }
  for (const [i, entry] of known.entries.entries()) {
    const other = met.entries[i];
    const isSame =
      other !== undefined &&
      other.name === entry.name &&
      other.trainable === entry.trainable &&
      other.shape.length === entry.shape.length &&
      other.shape.every((size, axis) => size === entry.shape[axis]);
    if (!isSame)
      return `${other?.name} [${other?.shape.join(', ')}] instead of ${entry.name} [${entry.shape.join(', ')}]`;
  }
  const [tables, others] = [textOf(known), textOf(met)];
  return tables === others ? undefined : `tables ${others || '(none)'} instead of ${tables || '(none)'}`;
}

function textOf({ tables }: Catalogue): string {
  return tables.map(({ name, dim }) => `${name} (dim ${dim})`).join(', ');
}
