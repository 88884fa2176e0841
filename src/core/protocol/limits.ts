/** Bounds of a frame that both ends hold, whatever their options say. See `docs/protocol.md`. */

/** Bytes before the msgpack header: its length and the payload's, u32 each. */
export const PREAMBLE_BYTES = 8;
/** Longest msgpack header. */
export const MAX_HEADER_BYTES = 16_384;
/** Deepest nesting of a header; the header's own map is depth 1. */
export const MAX_HEADER_DEPTH = 8;
/** Most elements of one array in a header. */
export const MAX_HEADER_ARRAY = 1024;
/** Most entries of one map in a header. */
export const MAX_HEADER_MAP = 64;
/** Most tensors of a model: its set fits a header as one bit each. */
export const MAX_TENSORS = 65_536;
/** Longest id of a worker, in UTF-16 code units. */
export const MAX_ID_LENGTH = 128;
/** Most sparse tables of a model. */
export const MAX_TABLES = 64;
/** Most numbers of a table's row. */
export const MAX_DIM = 4096;
/** Most metrics of one push. */
export const MAX_METRICS = 32;
/** Longest name of a metric, and any text that is only read by people. */
export const MAX_TEXT_LENGTH = 1024;
/** Most laggards that a message names. */
export const MAX_LAGGARDS = 8;
/** Deepest nesting of an input, item or result of a task. */
export const MAX_VALUE_DEPTH = 64;
/** Highest clock that a worker may come with, so that clocks stay safe integers. */
export const MAX_CLOCK: number = 2 ** 52;
/** Most values in an input, item or result of a task, those in others too; elements of typed arrays don't count. */
export const MAX_VALUES = 1_048_576;
/** Most spans of the answer to a pull that has only what changed. */
export const MAX_SPANS = 512;
/** Most leases in one message. */
export const MAX_LEASES = 512;
