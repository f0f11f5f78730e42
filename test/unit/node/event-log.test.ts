import assert from 'node:assert/strict'
import { logLedgerEvent } from '../../../src/node/event-log.ts'
import { silentLogger } from '../../../src/ports/logger.ts'
import type { Header } from '../../../src/protocol/header.ts'

const HASH = 'ab'.repeat(32)

function headerOf(height: number, tx_count: number): Header {
  const roots = { prev_hash: HASH, merkle_root: HASH, history_root: HASH, registry_root: HASH }
  const rest = { timestamp: 1_780_315_200_000, nonce: 0, difficulty: 0, miner_id: 'authority' }
  return { version: 1, chain_id: HASH, height, tx_count, ...roots, ...rest }
}

/** The line about a block of this height, on a chain whose block 3 changes the registry. */
function lineOf(height: number, txCount: number): string | undefined {
  const lines: string[] = []
  const logger = { ...silentLogger, info: (_fields: object, line: string) => lines.push(line) }
  const chain = { recentChanges: (above: number) => [3].filter((changed) => changed > above) }
  const sealed = { header: headerOf(height, txCount), signature: 'cd'.repeat(64) }
  logLedgerEvent({ type: 'header', header_hash: HASH, sealed, status: 'proposed' }, chain, logger)
  return lines[0]
}

describe('the line about a sealed block', () => {
  it('counts its trades', () => {
    assert.equal(lineOf(2, 1), 'block 2 abababababab sealed: 1 trade')
    assert.equal(lineOf(4, 2), 'block 4 abababababab sealed: 2 trades')
  })

  it('says where it holds a change of the registry', () => {
    assert.equal(lineOf(3, 1), 'block 3 abababababab sealed: 1 change of the registry')
  })
})
