/**
 * Who the worker talks to, over all its connections: one model and one history. A server with another
 * model is refused; one with another history, or with less of it, has lost updates.
 */
import { PsError } from '../base/errors.js';
import { decodeCatalogue } from '../protocol/catalogueCodec.js';
import { PROTOCOL_VERSION, type Welcome } from '../protocol/messages.js';
import type { Catalogue } from '../tensor/catalogue.js';

/** The server's model and history, as first met. */
export class ServerIdentity {
  #catalogue: Catalogue | undefined;
  #lineage: string | undefined;

  /** The model; undefined before the first Welcome. */
  get catalogue(): Catalogue | undefined {
    return this.#catalogue;
  }

  /** The history of the last Welcome. */
  get lineage(): string | undefined {
    return this.#lineage;
  }

  /**
   * The model of `welcome`, whose payload is `payload`. Throws `PS_VERSION`, `PS_MODEL_MISMATCH` if it is
   * not the model that was met first, `PS_PROTOCOL` for a payload that is no catalogue.
   */
  check(welcome: Welcome, payload: Uint8Array): Catalogue {
    if (welcome.protocol !== PROTOCOL_VERSION) {
      const text = `the server speaks version ${welcome.protocol} of the protocol, this worker ${PROTOCOL_VERSION}`;
      throw new PsError('PS_VERSION', text);
    }
    if (welcome.shardCount !== 1) {
      const place = `shard ${welcome.shardIndex} of ${welcome.shardCount}`;
      throw new PsError('PS_MODEL_MISMATCH', `the server holds ${place} of a model, not a whole one`);
    }
    const catalogue = decodeCatalogue(payload);
    const difference = this.#catalogue === undefined ? undefined : differenceOf(this.#catalogue, catalogue);
    if (difference !== undefined) {
      throw new PsError('PS_MODEL_MISMATCH', `the server came back with another model: ${difference}`);
    }
    return this.#catalogue ?? catalogue;
  }

  /** From now on this is the server. */
  adopt(welcome: Welcome, catalogue: Catalogue): void {
    this.#catalogue = catalogue;
    this.#lineage = welcome.lineage;
  }
}

function differenceOf(known: Catalogue, met: Catalogue): string | undefined {
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
  return undefined;
}
