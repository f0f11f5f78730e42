import { stopSharedPostgres } from './postgres.ts'

/** Runs once after all tests (see .mocharc.json). */
export const mochaGlobalTeardown = (): Promise<void> => stopSharedPostgres()
