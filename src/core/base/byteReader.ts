/**
 * Reads what `ByteWriter` wrote. Bytes that end too soon give `PS_CORRUPT`; nothing is
 * read past the end.
 */
import { PsError } from './errors.js';

/** A place in a run of bytes. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes that are not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** An integer of 8 bytes; `PS_CORRUPT` above 2^53 − 1. */
  uint53(): number {
    const at = this.#advance(8);
    const value = this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
    if (!Number.isSafeInteger(value)) throw corrupt('a number is out of range');
    return value;
  }

  float64(): number {
    return this.#view.getFloat64(this.#advance(8), true);
  }

  text(): string {
    const kind = this.uint32();
    const size = kind % 2 === 1 ? 2 : 1;
    const length = (kind - (size - 1)) / 2;
    const at = this.#advance(length * size);
    let text = '';
    for (let i = 0; i < length; i++) {
      const unit = size === 2 ? this.#view.getUint16(at + i * 2, true) : this.#view.getUint8(at + i);
      text += String.fromCharCode(unit);
    }
    return text;
  }

  /** The next `count` bytes, as a view. */
  bytes(count: number): Uint8Array {
    const at = this.#advance(count);
    return this.#bytes.subarray(at, at + count);
  }

  #advance(count: number): number {
    const at = this.#at;
    if (at + count > this.#bytes.length) throw corrupt('bytes are missing');
    this.#at = at + count;
    return at;
  }
}

function corrupt(what: string): PsError {
  return new PsError('PS_CORRUPT', what);
}
