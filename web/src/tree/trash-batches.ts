import type { TrashedFile } from '@costudio/client'

/** Files that went to the trash together stand together, where the first of them is. */
export function batchesOf(files: readonly TrashedFile[]): TrashedFile[][] {
  const batches = new Map<string, TrashedFile[]>()
  for (const file of files) batches.set(file.batch, [...(batches.get(file.batch) ?? []), file])
  return [...batches.values()]
}
