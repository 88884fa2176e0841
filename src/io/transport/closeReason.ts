/** A WebSocket close frame has room for 123 bytes of UTF-8: longer reasons are cut, never refused. */

const MAX_BYTES = 123;
const encoder = new TextEncoder();

/** `reason`, cut to what a close frame can carry. */
export function truncateReason(reason: string): string {
  if (reason.length * 3 <= MAX_BYTES) return reason;
  let bytes = 0;
  let kept = '';
  for (const character of reason) {
    bytes += encoder.encode(character).length;
    if (bytes > MAX_BYTES) break;
    kept += character;
  }
  return kept;
}
