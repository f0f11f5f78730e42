import { spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const PYTHON_FOLDER = fileURLToPath(new URL('../../python/', import.meta.url))

// The interpreter itself, not a version manager's shim: those cost more than the scripts.
const found = spawnSync('python3', ['-c', 'import sys; print(sys.executable if sys.version_info >= (3, 8) else "")'])
const interpreter = found.status === 0 ? found.stdout.toString().trim() : ''

/** True where there is a Python 3.8 or later; tests that need it register only there. */
export const hasPython: boolean = interpreter !== ''

export interface PythonRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a script of test/python to its end, leaving no compiled files behind. */
export function runPython(script: string, args: readonly string[], input = ''): Promise<PythonRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(interpreter, ['-B', `${PYTHON_FOLDER}${script}`, ...args])
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
    child.stdin.end(input)
  })
}
