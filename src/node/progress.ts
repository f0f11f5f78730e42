export type { ChainProgress, OnProgress } from '../engine/progress.ts'
