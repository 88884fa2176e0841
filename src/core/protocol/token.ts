/** What a token may be: it travels as a part of an HTTP header. */

/** Whether `value` is one. */
export function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}
