/** What the system says of a file or a folder, in words that tell what to do. */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'this user may not open or change it: chown or chmod it',
  EPERM: 'this user may not change it: chown or chmod it',
  EROFS: 'the file system is read-only: mount it for writing or choose another place',
  ENOSPC: 'the disk is full: make room',
  EDQUOT: 'the disk quota of this user is used up: make room',
  EFBIG: 'a file may not grow so large here (ulimit -f)',
  EISDIR: 'it is a folder, expected a file',
  ENOTDIR: 'a part of its path is a file, expected a folder',
  EEXIST: 'it exists already',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'its links lead in a circle',
  EMFILE: 'this process has too many open files (ulimit -n)',
  ENFILE: 'this machine has too many open files',
  EIO: 'the disk does not read or write (EIO): look at the log of the system',
  ERR_INVALID_ARG_VALUE: 'it is no name of a file',
}

/** Why a file cannot be used; the error's own message where nobody has better words. */
export function fileTrouble(error: unknown): string {
  const code = codeOf(error)
  return WORDS[code] ?? (error instanceof Error ? error.message : String(error))
}

/** The system's code, such as ENOENT; empty for what is not of the system. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** True for text that says, whoever wrote it, that a disk has no room. */
export const saysDiskFull = (text: string): boolean =>
  /no space left|disk is full|disk quota|quota exceeded|\bE(NOSPC|DQUOT)\b/i.test(text)
