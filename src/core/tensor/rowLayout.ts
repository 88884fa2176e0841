/**
 * Where rows stand in the bytes of a push: behind the elements of dense tensors, for each table in order the ids of its
 * rows (two words each, strictly rising), then their values (`dim` numbers each).
 *
 *     | dense elements | ids of table 0 | values of table 0 | ids of table 2 | values of table 2 | …
 */

/** How many rows of one table a push carries. */
export interface RowCount {
  /** Position among the tables of the model; rising in a list. */
  readonly table: number;
  /** 0, in a group: all of them are at other shards. */
  readonly count: number;
}

/** Ids and values of some rows of one table. */
export interface RowPart {
  readonly table: number;
  /** Two words for each id. */
  readonly words: Uint32Array;
  readonly values: Float32Array;
}

/** A piece of a push's elements: ids, or numbers. */
export interface RowPiece {
  readonly table: number;
  readonly isIds: boolean;
  /** Elements of four bytes, from the push's first on. */
  readonly begin: number;
  readonly end: number;
}

/** Elements of four bytes that the rows take. */
export function elementsOfRows(rows: readonly RowCount[], dims: readonly number[]): number {
  return rows.reduce((sum, { table, count }) => sum + count * (2 + (dims[table] as number)), 0);
}

/** The pieces that `rows` are made of, where the first begins at `at`. */
export function piecesOfRows(rows: readonly RowCount[], dims: readonly number[], at: number): RowPiece[] {
  let begin = at;
  return rows.flatMap(({ table, count }) => {
    const values = begin + 2 * count;
    const end = values + count * (dims[table] as number);
    const pieces = [
      { table, isIds: true, begin, end: values },
      { table, isIds: false, begin: values, end },
    ];
    begin = end;
    return pieces;
  });
}

/** The parts of `rows` in `data`, as views; the first begins at element `at`. */
export function partsOfRows(
  rows: readonly RowCount[],
  dims: readonly number[],
  data: Float32Array,
  at: number,
): RowPart[] {
  const pieces = piecesOfRows(rows, dims, at);
  return rows.map(({ table }, i) => {
    const ids = pieces[2 * i] as RowPiece;
    const { begin, end } = pieces[2 * i + 1] as RowPiece;
    const words = new Uint32Array(data.buffer, data.byteOffset + ids.begin * 4, ids.end - ids.begin);
    return { table, words, values: data.subarray(begin, end) };
  });
}
