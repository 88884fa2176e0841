/** Where the payload of a message goes, when its receiver knows that from the header. */

/** Memory for one payload, named before its bytes come. */
export interface PayloadPlace {
  /** Exactly as long as the payload. */
  readonly bytes: Uint8Array;
  /** The first `count` bytes stand there, and more are to come: they may be looked at while they are in cache. */
  readonly onFilled?: (count: number) => void;
}
