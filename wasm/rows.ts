/**
 * `gatherRows` and `scatterRows`: rows of `dim` float32 numbers that lie anywhere in the memory, each at an address of
 * its own, to one place and back.
 */
import { storeRest, VECTOR, vectorsOf } from './lanes';

/** Rows that are touched before they are copied: they fit into a second-level cache, and mostly into the first. */
const TOUCHED_ROWS: usize = 256;
/** Where what touching gave is stored: nobody needs it, but what nobody could see would not be done. */
const TOUCHED: usize = 15 * VECTOR;
const ADDRESS: usize = 4;

/**
 * Reads the first and the last number of each row. So short a loop has many rows on their way from memory at once,
 * where a loop that copies them waits for one after the other.
 */
// @ts-ignore: decorator
@inline
function touch(addresses: usize, end: usize, toLast: usize): void {
  let seen: i32 = 0;
  for (; addresses < end; addresses += ADDRESS) {
    const row = <usize>load<u32>(addresses);
    seen ^= load<i32>(row) ^ load<i32>(row + toLast);
  }
  store<i32>(TOUCHED, seen);
}

// @ts-ignore: decorator
@inline
function copyRow(out: usize, row: usize, dim: i32, whole: usize): void {
  let i: usize = 0;
  for (; i < whole; i += VECTOR) v128.store(out + i, v128.load(row + i));
  if (dim & 3) storeRest(out + i, v128.load(row + i), dim);
}

export function gatherRows(out: usize, addresses: usize, count: i32, dim: i32): void {
  const whole = vectorsOf(dim);
  const stride = <usize>dim << 2;
  const end = addresses + <usize>count * ADDRESS;
  while (addresses < end) {
    const blockEnd = min(end, addresses + TOUCHED_ROWS * ADDRESS);
    touch(addresses, blockEnd, stride - 4);
    for (; addresses < blockEnd; addresses += ADDRESS) {
      copyRow(out, <usize>load<u32>(addresses), dim, whole);
      out += stride;
    }
  }
}

export function scatterRows(addresses: usize, from: usize, count: i32, dim: i32): void {
  const whole = vectorsOf(dim);
  const stride = <usize>dim << 2;
  const end = addresses + <usize>count * ADDRESS;
  for (; addresses < end; addresses += ADDRESS) {
    copyRow(<usize>load<u32>(addresses), from, dim, whole);
    from += stride;
  }
}
