export function makeWorkerFile(root: string, entry: string, hasGroups: boolean): Promise<string>;
