/** How this process names itself as the owner of a data directory. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { randomHex } from '../randomHex.js';
import type { Self } from './ownerFile.js';

const BOOT_FILE = '/proc/sys/kernel/random/boot_id';

/** A new life in this process. */
export function thisLife(): Self {
  return { token: randomHex(16), host: hostname(), boot: bootOf(), pid: process.pid };
}

/** Linux names each start of a kernel, the same in all containers on it. Elsewhere the machine's name has to do. */
function bootOf(): string {
  try {
    return readFileSync(BOOT_FILE, 'utf8').trim();
  } catch {
    return hostname();
  }
}
