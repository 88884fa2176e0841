/** Groups of servers in this process, on loopback. */
import type { ParameterSpecs } from '../../../src/core/table/model.js';
import type { ParameterServer } from '../../../src/io/server/parameterServer.js';
import type { ParameterServerOptions } from '../../../src/io/server/serverOptions.js';
import { startServer } from '../worker/bench.js';

/** One shard of a group. */
export type ShardServer = ParameterServer & { readonly url: string };

/** `count` servers that hold a model together. */
export async function startGroup(
  count: number,
  options: Partial<ParameterServerOptions> & { parameters: ParameterSpecs },
): Promise<ShardServer[]> {
  const starts = Array.from({ length: count }, (_, index) => {
    return startServer({ ...options, shard: { index, count } }) as Promise<ShardServer>;
  });
  return Promise.all(starts);
}

/** All elements of a model that `servers` hold, in the model's order. */
export async function elementsOf(servers: readonly ShardServer[]): Promise<number[]> {
  const names = Object.keys((await servers[0]?.parameters())?.tensors ?? {});
  const parts = await Promise.all(servers.map(async (server) => (await server.parameters()).tensors));
  return names.flatMap((name) => parts.flatMap((tensors) => [...(tensors[name]?.data ?? [])]));
}

/** The urls of `servers`. */
export function urlsOf(servers: readonly ShardServer[]): string[] {
  return servers.map(({ url }) => url);
}
