/** How much room a disk has for gradients, and which errors say that it has none. */
import type { DiskError, DiskSpace } from './disk.js';

/** Room that is left for small records when gradients are refused: 1/64 of the disk, within these bounds. */
const MIN_RESERVE_BYTES = 262_144;
const MAX_RESERVE_BYTES = 67_108_864;
const ROOM_SHARE = 64;

/** Bytes that gradients may take; negative when the reserve is in use. */
export function roomIn({ freeBytes, totalBytes }: DiskSpace): number {
  const share = Math.floor(totalBytes / ROOM_SHARE);
  return freeBytes - Math.min(MAX_RESERVE_BYTES, Math.max(MIN_RESERVE_BYTES, share));
}

/** Whether `error` says that the disk is full, or the user's quota used up. */
export function isNoRoom(error: unknown): boolean {
  const { code } = error as DiskError;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** A write found no room: what it left is cut off, and it can be tried again. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom';
}
