/** What pslib tells about its work, to whoever wants to hear it. It is silent by itself. */

/** Anything that takes messages by level; `console` will do. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
