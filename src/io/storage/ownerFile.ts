/**
 * The bytes of the file `owner`: which life of a server has the directory, and a beat that shows others that it
 * lives. The first line never changes; the second is written in place, always with the same length.
 *
 *     {"life":3,"token":"…","host":"n1","boot":"…","pid":4711} newline
 *     {"beat":17}  or  {"beat":"closed"}                        with blanks to 31 bytes, newline
 */

/** One life of a server, as it names itself. */
export interface Self {
  /** Random; of this life alone. Hexadecimal digits. */
  readonly token: string;
  readonly host: string;
  /** The same for all processes that run under one start of one system, and for no others. */
  readonly boot: string;
  readonly pid: number;
}

/** What a file says of its owner. */
export interface Owner extends Self {
  /** Counts the lives that this directory has had. */
  readonly life: number;
}

/** What a file holds; `owner` is undefined if its first line is not one. */
export interface OwnerText {
  readonly owner: Owner | undefined;
  /** The second line as it is: another one shows that the owner lives. */
  readonly beat: string;
  /** It has closed the directory, and writes nothing any more. */
  readonly isClosed: boolean;
}

const BEAT_BYTES = 31;
/** Longest names that are kept whole. */
const MAX_NAME = 255;

/** The first line. */
export function encodeOwner({ life, token, host, boot, pid }: Owner): Uint8Array {
  const named = { life, token, host: host.slice(0, MAX_NAME), boot: boot.slice(0, MAX_NAME), pid };
  return new TextEncoder().encode(`${JSON.stringify(named)}\n`);
}

/** The second line. */
export function encodeBeat(beat: number | 'closed'): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ beat }).padEnd(BEAT_BYTES)}\n`);
}

/** What `bytes` say. */
export function decodeOwner(bytes: Uint8Array): OwnerText {
  const [first = '', beat = ''] = new TextDecoder().decode(bytes).split('\n');
  return {
    owner: ownerOf(first),
    beat,
    isClosed: `${beat}\n` === new TextDecoder().decode(encodeBeat('closed')),
  };
}

function ownerOf(line: string): Owner | undefined {
  try {
    const { life, token, host, boot, pid } = JSON.parse(line) as Record<string, unknown>;
    const isOne =
      Number.isSafeInteger(life) &&
      Number.isSafeInteger(pid) &&
      [token, host, boot].every((text) => typeof text === 'string');
    return isOne ? ({ life, token, host, boot, pid } as Owner) : undefined;
  } catch {
    return undefined;
  }
}
