/** A version together with the life of the server that counts it: the number alone may mean other bytes after a restart. */
export interface VersionStamp {
  /** Random name of one life of the server process. */
  readonly incarnation: string;
  /** Updates applied. */
  readonly version: number;
}
