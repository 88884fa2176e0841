/**
 * Cuts the bytes of a selection of the model into chunks: byte ranges over the selection's own
 * range, whatever the tensors' borders. Both pull answers and pushes are made of them.
 */
import type { Selection } from '../tensor/catalogue.js';

/**
 * Copies or views the elements [begin, end) of `selection` out of `values` (the whole model, flat).
 * Returns a view if the range is one run, else a copy into `scratch`, valid until the next call.
 * REQUIRES: scratch.length ≥ end − begin.
 */
export function gather(
  values: Float32Array,
  selection: Selection,
  begin: number,
  end: number,
  scratch: () => Float32Array,
): Uint8Array {
  let view: Float32Array | undefined;
  let pieces = 0;
  selection.forEachPiece(begin, end, (offset, _at, length) => {
    pieces++;
    view = values.subarray(offset, offset + length);
  });
  if (pieces !== 1 || view === undefined) {
    const target = scratch();
    selection.forEachPiece(begin, end, (offset, at, length) => {
      target.set(values.subarray(offset, offset + length), at - begin);
    });
    view = target.subarray(0, end - begin);
  }
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/**
 * The float32 elements of `bytes`: a view where they stand aligned, else a copy.
 * REQUIRES: bytes.length % 4 = 0.
 */
export function floatsOf(bytes: Uint8Array): Float32Array {
  if (bytes.byteOffset % 4 === 0)
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return new Float32Array(copy.buffer);
}

/** The bytes of `array`, as a view. */
export function bytesOf(array: Float32Array | Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
