/** Options with a function, as the processes of a group load them. */
import type { ParameterServerOptions } from '../../../src/io/server/serverOptions.js';

// biome-ignore lint/style/noDefaultExport: it is what a group asks of its module
export default function optionsFor({ count }: { index: number; count: number }): ParameterServerOptions {
  if (count !== 2) throw new Error('asked for another group');
  return { parameters: { w: { shape: [5], init: (i) => i * i } }, port: 0 };
}
