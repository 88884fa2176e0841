// Compiles wasm/ to the module that carries the kernels' bytes. Shared by buildWasm.mjs and checkWasm.mjs.
import asc from 'assemblyscript/asc';

/** Where the bytes are committed, from the root. */
export const bytesFile = 'src/core/kernels/wasmBytes.ts';

const options = [
  ...['--outFile', 'kernels.wasm', '--bindings', 'none'],
  // The memory comes from outside, so that arrays can be laid in it; nothing else is imported.
  ...['--importMemory', '--noExportMemory', '--runtime', 'stub'],
  ...['-O3', '--converge', '--noAssert', '--enable', 'simd'],
  // "Exchange of v128 values": no kernel exchanges any with JavaScript.
  ...['--disableWarning', '112'],
];

/** The text of `bytesFile` from the sources as they are. Throws what the compiler has to say. */
export async function compileBytes() {
  let bytes;
  const { error, stdout, stderr } = await asc.main(['wasm/index.ts', ...options], {
    writeFile: (_name, contents) => {
      bytes = contents;
    },
  });
  if (error !== null) throw new Error(`${stdout}${stderr}${error.message}`);
  return `/**
 * The kernels in WebAssembly SIMD, compiled from wasm/ by \`npm run build:wasm\`: ${bytes.length} bytes in base64.
 */
export const WASM_BYTES: string =
  '${Buffer.from(bytes).toString('base64')}';
`;
}
