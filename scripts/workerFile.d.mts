export function makeWorkerFile(root: string, entry: string): Promise<string>;
