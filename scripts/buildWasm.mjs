// `npm run build:wasm`: compiles wasm/ and writes the bytes where src imports them.
import { writeFileSync } from 'node:fs';
import { bytesFile, compileBytes } from './wasmBytes.mjs';

const text = await compileBytes();
writeFileSync(bytesFile, text);
console.log(`${bytesFile}: ${text.length} characters`);
