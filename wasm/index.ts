/**
 * The kernels of the server in WebAssembly SIMD: what the module exports. `npm run build:wasm` compiles it into
 * src/core/kernels/wasmBytes.ts. Formulas and rules stand in src/core/kernels/kernels.ts.
 */
export { adam, adamw } from './adam';
export { adagrad, rmsprop } from './adaptive';
export { momentum, nesterov, sgd } from './descent';
export { ftrl } from './ftrl';
export { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from './halfFloats';
export { gatherRows, scatterRows } from './rows';
export { sumSquares } from './sumSquares';
export { add, clipValue, divide, scale, zeroNonFinite } from './vector';
