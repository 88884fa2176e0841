/**
 * The little linear algebra that the network needs: matrices in row-major order, and four
 * operations on them. Written to be read; a real program would call a library here.
 */

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** Row by row; length is rows × columns. */
  readonly data: Float32Array;
}

/** A matrix of the given size over `data`, which is not copied; zeros if it is left out. */
export function matrix(
  rows: number,
  columns: number,
  data: Float32Array = new Float32Array(rows * columns),
): Matrix {
  return { rows, columns, data };
}

/** Row `index` of `a`, as a view. */
export function row(a: Matrix, index: number): Float32Array {
  return a.data.subarray(index * a.columns, (index + 1) * a.columns);
}

/** a · b */
export function multiply(a: Matrix, b: Matrix): Matrix {
  const product = matrix(a.rows, b.columns);
  for (let i = 0; i < a.rows; i++) {
    const target = row(product, i);
    for (let k = 0; k < a.columns; k++) {
      const factor = a.data[i * a.columns + k] as number;
      const source = k * b.columns;
      for (let j = 0; j < b.columns; j++) {
        target[j] = (target[j] as number) + factor * (b.data[source + j] as number);
      }
    }
  }
  return product;
}

/** aᵀ */
export function transpose(a: Matrix): Matrix {
  const turned = matrix(a.columns, a.rows);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.columns; j++) {
      turned.data[j * a.rows + i] = a.data[i * a.columns + j] as number;
    }
  }
  return turned;
}

/** `a` with `bias` added to each of its rows. */
export function addToRows(a: Matrix, bias: Float32Array): Matrix {
  return matrix(
    a.rows,
    a.columns,
    a.data.map((x, i) => x + (bias[i % a.columns] as number)),
  );
}

/** The sum of the rows of `a`. */
export function sumOfRows(a: Matrix): Float32Array {
  const sum = new Float32Array(a.columns);
  a.data.forEach((x, i) => {
    const column = i % a.columns;
    sum[column] = (sum[column] as number) + x;
  });
  return sum;
}

/** f(x, y) for each pair of elements of two matrices of one size. */
export function combine(a: Matrix, b: Matrix, f: (x: number, y: number) => number): Matrix {
  return matrix(
    a.rows,
    a.columns,
    a.data.map((x, i) => f(x, b.data[i] as number)),
  );
}
