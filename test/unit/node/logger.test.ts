import assert from 'node:assert/strict'
import { createLogger } from '../../../src/node/logger.ts'
import { ledgerError } from '../../../src/ports/errors.ts'

describe('node/logger', () => {
  let lines: string
  const destination = { write: (text: string) => void (lines += text) }
  beforeEach(() => (lines = ''))
  const json = createLogger({ level: 'info', pretty: false, destination })
  const written = (): Record<string, unknown> => JSON.parse(lines) as Record<string, unknown>

  it('writes one JSON line an event, fields and message', () => {
    json.info({ height: 7, tx_id: 't-1' }, 'sealed')
    assert.equal(lines.split('\n').length, 2)
    const { height, tx_id, msg, level } = written()
    assert.deepEqual([height, tx_id, msg, level], [7, 't-1', 'sealed', 30])
  })

  it('says nothing below its level', () => {
    json.debug({}, 'details')
    assert.equal(lines, '')
  })

  it('takes out secrets by name, wherever they are', () => {
    const secret = 'hunter2-hunter2'
    json.warn(
      {
        token: secret,
        operator_token: secret,
        headers: { authorization: secret, Cookie: secret },
        list: [{ secretKey: secret }, { deep: { passphrase: secret } }],
        tokens: { operator: secret },
        peerSeed: new Uint8Array(32),
      },
      'a request',
    )
    assert.doesNotMatch(lines, /hunter2/)
    assert.equal((written().headers as Record<string, unknown>).authorization, '[redacted]')
  })

  it('takes credentials out of text, in fields, messages and errors', () => {
    const bearer = 'Bearer 0123456789abcdef0123456789abcdef'
    json.error(
      { note: bearer, error: new Error(`refused ${bearer}`), url: 'postgres://ada:hunter2@db/x' },
      `GET with ${bearer}`,
    )
    assert.doesNotMatch(lines, /0123456789abcdef|hunter2/)
    assert.match(lines, /refused Bearer \[redacted\]/)
    assert.match(lines, /postgres:\/\/ada:\[redacted\]@db\/x/)
  })

  it('keeps what is no secret: file names, hashes, counts', () => {
    const fields = { tokens_file: '/data/tokens.json', header_hash: 'ab'.repeat(32), token_count: 4 }
    json.info(fields, 'Solar node')
    assert.deepEqual({ ...fields, ...written() }, written())
    assert.equal(written().msg, 'Solar node')
  })

  it('writes errors with their code and cause, and the stack only for who debugs', () => {
    const error = ledgerError(
      'store_failed',
      { store: 'sql', operation: 'commit', retryable: true, reason: 'full' },
      new Error('ENOSPC'),
    )
    json.error({ error }, 'no')
    const { code, message, stack, cause } = written().error as Record<string, unknown>
    assert.deepEqual([code, message, stack], ['store_failed', 'sql commit failed, try again: full', undefined])
    assert.deepEqual(cause, { message: 'ENOSPC' })
    lines = ''
    createLogger({ level: 'debug', pretty: false, destination }).error({ error }, 'no')
    assert.match(String((written().error as Record<string, unknown>).stack), /logger\.test/)
  })

  it('survives values that JSON has no word for', () => {
    const circle: Record<string, unknown> = { micro: 10n }
    circle.self = circle
    json.info(circle, 'round')
    assert.equal(written().micro, '10')
  })

  it('cuts what others have written, and is done with it at once however long it is', () => {
    // With work that grows with the square of a length none of these would end within the limit of a test.
    const length = 4_000_000
    for (const part of ['a', 'a:', 'a://', 'a://b:', 'Bearer ', 'Bearer', 'x_token', '\u0000', ' ', '=']) {
      const text = part.repeat(length / part.length)
      lines = ''
      json.warn({ text, [text]: text, error: new Error(text, { cause: new Error(text) }), list: [text] }, text)
      assert.ok(lines.length < 80_000, `${JSON.stringify(part)}: ${lines.length}`)
      assert.ok(String(written().msg).length <= 2_000)
    }
    lines = ''
    json.warn({ many: Array.from({ length: 100_000 }, (_, index) => index) }, 'many')
    assert.equal((written().many as unknown[]).length, 201)
    assert.equal((written().many as unknown[]).at(-1), '99800 more')
  })

  it('finds a password in a long text, wherever it is', () => {
    for (const place of [0, 1_000, 1_990, 2_000, 5_000]) {
      lines = ''
      json.warn({}, `${' '.repeat(place)}postgres://ada:hunter2-hunter2@db/x Bearer hunter2-hunter2-hunter2`)
      assert.doesNotMatch(lines, /hunter2/)
    }
  })

  it('keeps a message on its line, and gives a terminal no command', () => {
    const pretty = createLogger({ level: 'info', pretty: true, destination })
    pretty.info({ path: 'x\ny\u001b[2J' }, 'one\n[00:00:00] INFO: two\u001b[2J')
    assert.equal(lines.trimEnd().split('\n').length, 1)
    assert.ok(!lines.includes('\u001b'))
  })

  it('writes one line an event for people', () => {
    createLogger({ level: 'info', pretty: true, destination }).info({ height: 7, path: { a: 'b\nc' } }, 'sealed')
    assert.match(lines, /^\[\d\d:\d\d:\d\d\] INFO: sealed .*"height":7/)
    assert.equal(lines.trimEnd().split('\n').length, 1)
  })
})
