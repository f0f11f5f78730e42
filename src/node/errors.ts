import { errorFactory, type ErrorTable } from '../protocol/errors.ts'

/** What keeps a node from starting or stopping. */
const nodeErrors = {
  /** `advice`: what to do instead, where there is something. */
  data_directory_in_use: (f: { directory: string; holder: string; advice?: string }) =>
    `${f.directory} is in use by ${f.holder}: one data directory, one solar-node` +
    (f.advice === undefined ? '' : `; ${f.advice}`),
  data_directory_unusable: (f: { directory: string; reason: string }) => `data directory ${f.directory}: ${f.reason}`,
  data_directory_incomplete: (f: { directory: string; file: string; advice: string }) =>
    `data directory ${f.directory} has a chain but no ${f.file}: ${f.advice}`,
  /** `reason`: where SQL ends, and what goes on beyond it. */
  rebuild_would_lose: (f: { directory: string; reason: string }) =>
    `${f.reason}: what SQL does not have would be lost. Start the node on ${f.directory}: it puts these blocks back into SQL ` +
    'from level/ or from peers; or put the newer SQL back',
  address_taken: (f: { setting: string; address: string; reason: string; advice: string }) =>
    `${f.setting}: ${f.address} ${f.reason}: ${f.advice}`,
  out_file_failed: (f: { file: string; reason: string }) =>
    `${f.file} could not be written, nothing is left of it: ${f.reason}`,
  file_in_use: (f: { file: string; holder: string }) =>
    `${f.file} is being changed by ${f.holder}: run the command again`,
  /** A file that this node wrote cannot be read as what it is. */
  file_damaged: (f: { file: string; reason: string }) => `${f.file} is damaged: ${f.reason}`,
} satisfies ErrorTable

export type NodeErrorCode = keyof typeof nodeErrors
export const nodeError = errorFactory(nodeErrors)
