/** The first two bytes of a frame (RFC 6455, section 5.2), and which of them are taken here. */

/** Opcodes of RFC 6455, section 5.2. */
export const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

const LONGEST_CONTROL = 125;

/** What is wrong with the first two bytes of a frame, and the close code for it. */
export function faultOfFrame(
  first: number,
  second: number,
  isMasked: boolean,
): { code: number; reason: string } | undefined {
  const opcode = first & 15;
  const isControl = opcode >= OPCODE.close;
  if ((first & 0x70) !== 0) return { code: 1002, reason: 'reserved bits are set' };
  if ((first & 0x80) === 0) return { code: 1002, reason: 'fragments are not spoken here' };
  if (((second & 0x80) !== 0) !== isMasked) return { code: 1002, reason: 'wrong masking' };
  if (opcode === OPCODE.text) return { code: 1003, reason: 'text messages are not spoken here' };
  if (opcode > OPCODE.pong || (!isControl && opcode !== OPCODE.binary)) {
    return { code: 1002, reason: 'unknown opcode' };
  }
  if (isControl && (second & 127) > LONGEST_CONTROL)
    return { code: 1002, reason: 'control frame is too long' };
  return undefined;
}

/** The little-endian number in four bytes from `at`, which must be there. */
export function uint32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  const high = (bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8);
  return low + high * 65_536;
}
