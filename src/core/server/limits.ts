/**
 * The bounds of a server that its core keeps. All are options (`limits` of `ParameterServer`), all
 * finite unless said otherwise.
 */

/** Bounds on waits, counts and sizes. Times in milliseconds. */
export interface ServerLimits {
  /** A worker from which nothing arrives for so long is evicted. */
  readonly leaseMs: number;
  /** How often workers send a sign of life when they send nothing else. */
  readonly pingMs: number;
  /** How long a worker keeps its place after its socket closed without goodbye. */
  readonly disconnectGraceMs: number;
  /** The longest gradient step that a worker may announce. */
  readonly maxStepMs: number;
  /** A worker in the clock table that neither pulls, pushes nor ticks for so long is evicted; Infinity: never. */
  readonly progressTimeoutMs: number;
  /** The longest wait of a pull. */
  readonly pullTimeoutMs: number;
  /** How long `close` waits for connections to end, before it cuts them off. */
  readonly closeTimeoutMs: number;
  /** How long `drain` waits for pushes that are under way. */
  readonly drainTimeoutMs: number;
  /** A connection must say hello within this time. */
  readonly helloTimeoutMs: number;
  /** How often the right of each open connection is judged again by `auth`; Infinity: never. */
  readonly reauthenticateMs: number;
  /** Connections in all. */
  readonly maxConnections: number;
  /** Connections from one address; those of this machine and those that `auth` has let in don't count. */
  readonly maxConnectionsPerAddress: number;
  /** Requests of one connection that are not answered; more are refused. */
  readonly maxRequests: number;
  /** Workers that are remembered, those that are away too; more are refused. */
  readonly maxSessions: number;
  /** Fragments of one WebSocket message. */
  readonly maxFragments: number;
  /** A session that is silent for so long is forgotten. */
  readonly sessionExpiryMs: number;
  /** Payload of one message, in bytes; a multiple of 8. */
  readonly chunkBytes: number;
  /** Pushes that a worker may leave unanswered. */
  readonly maxUnansweredPushes: number;
  /** Malformed messages of a connection before it is closed. */
  readonly maxProtocolErrors: number;
  /** A transfer that is slower than this over `rateWindowMs` is cut off; bytes per second. */
  readonly minRateBytesPerS: number;
  readonly rateWindowMs: number;
  /** Bytes that wait to be read by one connection; with more it is not read from. */
  readonly pauseOutboundBytes: number;
  /** Bytes that may wait to be read by one connection; with more it is cut off. */
  readonly maxOutboundBytes: number;
  /** Longest input or result of a generic task. */
  readonly maxTaskBytes: number;
  /** Changed rows of each sparse table that are remembered for those who watch it, 8 bytes each. */
  readonly watchedIds: number;
  /** Versions held for readers. */
  readonly pinnedVersions: number;
  /** Bytes for pushes that arrive in several chunks. */
  readonly stagingBytes: number;
  /** Bytes of updates that wait for their clock to close, under BSP. */
  readonly clockBufferBytes: number;
}

/** The defaults of `docs/guides/limits.md`; the last two depend on model and memory, and are filled in by the server. */
export const DEFAULT_SERVER_LIMITS: ServerLimits = {
  leaseMs: 30_000,
  pingMs: 10_000,
  disconnectGraceMs: 5_000,
  maxStepMs: 600_000,
  progressTimeoutMs: Number.POSITIVE_INFINITY,
  pullTimeoutMs: 60_000,
  closeTimeoutMs: 5_000,
  drainTimeoutMs: 30_000,
  helloTimeoutMs: 5_000,
  reauthenticateMs: 300_000,
  maxConnections: 1024,
  maxConnectionsPerAddress: 64,
  maxRequests: 256,
  maxSessions: 65_536,
  maxFragments: 64,
  sessionExpiryMs: 86_400_000,
  chunkBytes: 1_048_576,
  maxUnansweredPushes: 4,
  maxProtocolErrors: 5,
  minRateBytesPerS: 16_384,
  rateWindowMs: 10_000,
  pauseOutboundBytes: 8_388_608,
  maxOutboundBytes: 67_108_864,
  maxTaskBytes: 67_108_864,
  watchedIds: 1_048_576,
  pinnedVersions: 2,
  stagingBytes: 1_073_741_824,
  clockBufferBytes: 17_179_869_184,
};
