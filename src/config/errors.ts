import { errorFactory, isSolarError, type ErrorTable, type SolarError } from '../protocol/errors.ts'

/** What is wrong with what the operator wrote: the command line ends with exit code 2 and one line. */
const configErrors = {
  /** `got` is a picture of the value that carries no secret; `origin` is a flag, a variable or FILE:KEY. */
  config_bad_value: (f: { key: string; expected: string; got: string; origin: string }) =>
    `${f.key}: expected ${f.expected}, got ${f.got} (from ${f.origin})`,
  /** The value is not shown: what nobody knows may be a secret. */
  config_unknown_key: (f: { key: string; origin: string; expected: string }) =>
    `${f.key}: no such setting, expected ${f.expected} (from ${f.origin})`,
  config_unreadable: (f: { file: string; reason: string }) => `${f.file}: ${f.reason}`,
  /** Settings that are well formed and do not go together, or not with what the data directory holds. */
  config_conflict: (f: { reason: string }) => f.reason,
} satisfies ErrorTable

export type ConfigErrorCode = keyof typeof configErrors
export const configError = errorFactory(configErrors)

/** True for errors of this layer. */
export function isConfigError(error: unknown): error is SolarError<ConfigErrorCode> {
  return isSolarError(error) && Object.hasOwn(configErrors, error.code)
}
