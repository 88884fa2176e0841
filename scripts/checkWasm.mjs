// The committed bytes of the kernels are what wasm/ compiles to.
import { readFileSync } from 'node:fs';
import { bytesFile, compileBytes } from './wasmBytes.mjs';

const isCurrent = readFileSync(bytesFile, 'utf8') === (await compileBytes());
if (!isCurrent) console.error(`${bytesFile} is not what wasm/ compiles to: run npm run build:wasm`);
process.exitCode = isCurrent ? 0 : 1;
