/** Several streams as one: what comes first is given first, and of each at most one item is read ahead. */

/** All items of `streams`, until all have ended or one has failed. Whoever stops early ends the streams in another way. */
export async function* merged<T>(
  streams: readonly AsyncGenerator<T, void, undefined>[],
): AsyncGenerator<T, void, undefined> {
  const next = async (stream: AsyncGenerator<T, void, undefined>) => ({
    stream,
    result: await stream.next(),
  });
  const pending = new Map(streams.map((stream) => [stream, next(stream)]));
  while (pending.size > 0) {
    const { stream, result } = await Promise.race(pending.values());
    pending.delete(stream);
    if (result.done === true) continue;
    yield result.value;
    pending.set(stream, next(stream));
  }
}
