import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RegistryChange } from '../../../src/cli/keys/change.ts'
import { enrolment, policyChange, recovery, revocation, rotation } from '../../../src/cli/keys/changes.ts'
import { createProgram } from '../../../src/cli/program.ts'
import { UsageError } from '../../../src/cli/output.ts'
import { countersignedRequest } from '../../../src/cli/keys/request-file.ts'
import { submitChange, writeRequest, type Target } from '../../../src/cli/keys/submit.ts'
import { createKeyFile, readKeyFile } from '../../../src/keys/key-file.ts'
import type { Ledger } from '../../../src/ports/ledger.ts'
import { ledgerError } from '../../../src/ports/errors.ts'
import { isSolarError } from '../../../src/protocol/errors.ts'
import { cliFile } from '../../helpers/bundle.ts'
import { RECOVERY_KEY, TEST_GENESIS, type MemoryLedger } from '../../helpers/memory-ledger.ts'
import { tempDir } from '../../helpers/temp.ts'
import { sealOne, startServer, TOKENS, type TestServer } from '../http/harness.ts'

/** The secrets of the genesis keys in test/helpers/memory-ledger.ts. */
const AUTHORITY = 1
const PHONE = 7
const RECOVERY = 77

describe('solar-node keys', () => {
  let folder: Awaited<ReturnType<typeof tempDir>>
  let server: TestServer
  const file = (name: string) => join(folder.path, name)

  /** A key file whose secret bytes all have this value. */
  async function keyFile(byte: number): Promise<string> {
    const path = file(`${byte}.key`)
    await createKeyFile(path, { randomBytes: (length) => new Uint8Array(length).fill(byte) })
    return path
  }
  async function tokenFile(token: string): Promise<string> {
    await writeFile(file('token'), `${token}\n`)
    return file('token')
  }
  const notices: string[] = []
  const submit = async (change: RegistryChange | Promise<RegistryChange>, target: Partial<Target> = {}) =>
    submitChange(await change, { to: server.url, ...target }, (line) => notices.push(line))
  const entry = (id: string) => server.ledger.registry().entries.find((candidate) => candidate.id === id)
  const publicKey = async (path: string) => (await readKeyFile(path)).publicKey
  const refusedWith = (code: string, reason: RegExp) => (error: unknown) => {
    assert.ok(isSolarError(error, code), String(error))
    assert.match(error.message, reason)
    assert.doesNotMatch(error.message, /\n/)
    return true
  }

  async function start(wrap?: (ledger: MemoryLedger) => Ledger): Promise<void> {
    folder = await tempDir()
    server = await startServer(wrap === undefined ? {} : { wrap })
    await sealOne(server)
    notices.length = 0
  }
  afterEach(async () => {
    await server.stop()
    await folder.remove()
  })

  describe('with an authority', () => {
    beforeEach(() => start())

    describe('enrol', () => {
      const options = async () => ({ id: 'household-8.phone', role: 'voter', key: await keyFile(8) })

      it('registers the key with its recovery key and its user, and says in which block', async () => {
        const safe = await keyFile(88)
        const change = enrolment({ ...(await options()), recoveryKey: safe, userId: 'household-8' })
        const submitted = await submit(change, { tokenFile: await tokenFile(TOKENS.platform) })
        assert.deepEqual([submitted.chainId, submitted.height], [server.ledger.chainId, 1])
        assert.match(submitted.accepted?.tick_id ?? '', /^registry:[0-9a-f]{32}$/)
        const registered = entry('household-8.phone')
        assert.equal(registered?.public_key, await publicKey(file('8.key')))
        assert.equal(registered.recovery_key, await publicKey(safe))
        assert.equal(await server.ledger.userOf('household-8.phone'), 'household-8')
      })

      it('without a token is refused with the way to give one', async () => {
        await assert.rejects(submit(enrolment(await options())), refusedWith('no_access', /--token-file FILE/))
        assert.equal(entry('household-8.phone'), undefined)
      })

      const school = async () => ({ ...(await options()), id: 'school', role: 'validator' })

      it('of a validator takes an operator token and the key of an authority', async () => {
        const alone = await school()
        await assert.rejects(
          submit(enrolment(alone), { tokenFile: await tokenFile(TOKENS.operator) }),
          (error) => error instanceof UsageError && /--authority-key FILE.+countersign/.test(error.message),
        )
        const validator = { ...alone, authorityKey: await keyFile(AUTHORITY) }
        await assert.rejects(
          submit(enrolment(validator), { tokenFile: await tokenFile(TOKENS.platform) }),
          refusedWith('no_access', /the role platform may not enrol a key of the role validator/),
        )
        await submit(enrolment(validator), { tokenFile: await tokenFile(TOKENS.operator) })
        assert.equal(entry('school')?.role, 'validator')
      })

      it('of a validator with the key of somebody who is no authority sends nothing', async () => {
        await assert.rejects(
          submit(enrolment({ ...(await school()), authorityKey: await keyFile(PHONE) })),
          refusedWith('no_countersigner', /no active authority of this chain has the key [0-9a-f]{64}/),
        )
        assert.equal(server.ledger.registry().height, 0)
      })

      it('of a validator is signed on its machine, and countersigned and posted on the authority’s', async () => {
        const request = file('school.json')
        await writeRequest(await enrolment(await school()), { to: server.url, out: request }, () => undefined)
        assert.equal((await stat(request)).mode & 0o777, 0o600)
        assert.equal(entry('school'), undefined)
        const change = () => keyFile(AUTHORITY).then((authorityKey) => countersignedRequest(request, { authorityKey }))
        const target = { tokenFile: await tokenFile(TOKENS.operator) }
        const { height } = await submit(change(), target)
        assert.equal(entry('school')?.public_key, await publicKey(file('8.key')))
        const again = await submit(countersignedRequest(request, { authorityKey: file(`${AUTHORITY}.key`) }), target)
        assert.deepEqual([again.accepted, again.height], [null, height])
      })

      it('of something else than a request is refused with what was expected', async () => {
        const authorityKey = await keyFile(AUTHORITY)
        for (const content of ['{}', 'no JSON', '{"transaction":{"kind":"registry"}}', '']) {
          await writeFile(file('request.json'), content)
          await assert.rejects(countersignedRequest(file('request.json'), { authorityKey }), UsageError)
        }
      })

      it('takes a recovery key that is typed', async () => {
        const recoveryKey = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
        await submit(enrolment({ ...(await options()), recoveryKey }), { tokenFile: await tokenFile(TOKENS.platform) })
        assert.equal(entry('household-8.phone')?.recovery_key, recoveryKey)
      })

      it('of an id that is taken is refused with the server’s reason', async () => {
        await assert.rejects(
          submit(enrolment({ ...(await options()), id: 'household-9.phone' }), {
            tokenFile: await tokenFile(TOKENS.platform),
          }),
          refusedWith('refused', /^enrol of household-9\.phone was refused with HTTP 422 registry_refused: .+ already/),
        )
      })
    })

    describe('rotate', () => {
      const options = async () => ({ id: 'household-7.phone', key: await keyFile(PHONE), newKey: file('new.key') })

      it('replaces the key, which it makes where there is none', async () => {
        const { height } = await submit(rotation(await options()))
        assert.equal(entry('household-7.phone')?.public_key, await publicKey(file('new.key')))
        assert.equal((await stat(file('new.key'))).mode & 0o777, 0o600)
        assert.equal(height, 1)
        assert.equal(entry('household-7.phone')?.recovery_key, RECOVERY_KEY.publicKey)
      })

      it('run again does nothing again', async () => {
        const again = await options()
        const first = await submit(rotation(again))
        const second = await submit(rotation(again))
        assert.deepEqual([second.accepted, second.height], [null, first.height])
        assert.equal(server.ledger.registry().height, 1)
      })

      it('by a key that is not the present one is refused, and leaves no key file', async () => {
        const wrong = { ...(await options()), key: await keyFile(9) }
        await assert.rejects(submit(rotation(wrong)), refusedWith('refused', /not signed by the present key/))
        await assert.rejects(stat(file('new.key')), { code: 'ENOENT' })
      })

      it('to a key file that was there before is refused, and leaves it', async () => {
        const wrong = { ...(await options()), key: await keyFile(9), newKey: await keyFile(10) }
        await assert.rejects(submit(rotation(wrong)), refusedWith('refused', /not signed by the present key/))
        assert.match(await publicKey(file('10.key')), /^[0-9a-f]{64}$/)
      })

      it('encrypts the new key file where a passphrase is given', async () => {
        await writeFile(file('passphrase'), 'long enough\n')
        await submit(rotation({ ...(await options()), passphraseFile: file('passphrase') }))
        assert.match(await readFile(file('new.key'), 'utf8'), /^-----BEGIN AGE ENCRYPTED FILE-----/)
        const { publicKey: made } = await readKeyFile(file('new.key'), 'long enough')
        assert.equal(entry('household-7.phone')?.public_key, made)
      })
    })

    it('revoke takes a key out of service, by the key of an authority or its own', async () => {
      await submit(revocation({ id: 'household-9.phone', key: await keyFile(AUTHORITY) }))
      await submit(revocation({ id: 'household-7.phone', key: await keyFile(PHONE) }))
      assert.equal(entry('household-9.phone')?.status, 'revoked')
      assert.equal(entry('household-7.phone')?.status, 'revoked')
      await assert.rejects(
        submit(revocation({ id: 'nobody', key: file(`${AUTHORITY}.key`) })),
        refusedWith('refused', /nobody is not registered/),
      )
    })

    it('revoke by the authority binds what was revoked by its own word, which is not already so', async () => {
      await submit(revocation({ id: 'household-7.phone', key: await keyFile(PHONE) }))
      const change = await revocation({ id: 'household-7.phone', key: await keyFile(AUTHORITY) })
      const [first, again] = [await submit(change), await submit(change)]
      assert.deepEqual([first.height, again.accepted, again.height], [2, null, 2])
      assert.equal(entry('household-7.phone')?.revoked_by, 'authority-1')
      const own = await submit(revocation({ id: 'household-7.phone', key: file(`${PHONE}.key`) }))
      assert.equal(own.accepted, null)
    })

    it('recover gives a revoked id a new key and a new recovery key', async () => {
      await submit(revocation({ id: 'household-7.phone', key: await keyFile(PHONE) }))
      const change = recovery({
        id: 'household-7.phone',
        recoveryKey: await keyFile(RECOVERY),
        newKey: file('new.key'),
        newRecoveryKey: await keyFile(78),
      })
      await submit(change)
      const { status, public_key, recovery_key } = entry('household-7.phone')!
      assert.deepEqual(
        [status, public_key, recovery_key],
        ['active', await publicKey(file('new.key')), await publicKey(file('78.key'))],
      )
    })

    it('policy changes the finality from the next height on', async () => {
      const { height } = await submit(
        policyChange({ id: 'authority-1', key: await keyFile(AUTHORITY), finality: 'votes:1' }),
      )
      assert.deepEqual(server.ledger.registry().policy, {
        finality: { policy: 'votes', threshold: 1 },
        since_height: 1,
      })
      assert.equal(height, 1)
    })

    it('policy by votes of whom nobody was seen voting is not sent unless --yes says so', async () => {
      const change = await policyChange({ id: 'authority-1', key: await keyFile(AUTHORITY), finality: 'votes:3' })
      await assert.rejects(submit(change), (error) => {
        assert.ok(error instanceof UsageError)
        assert.match(error.message, /^votes:3 takes 3 of 2 registered voters, 0 voted on .+: nobody; .+--yes/)
        return true
      })
      assert.equal(server.ledger.registry().height, 0)
    })

    it('policy that the registry cannot reach is refused with the reason', async () => {
      const change = policyChange({ id: 'authority-1', key: await keyFile(AUTHORITY), finality: 'validators:2' })
      await assert.rejects(submit(change), refusedWith('refused', /needs 2 active validators, there are 0/))
    })

    it('signs for the pinned chain only', async () => {
      const change = await revocation({ id: 'household-9.phone', key: await keyFile(AUTHORITY) })
      await assert.rejects(submit(change, { chain: '0'.repeat(64) }), refusedWith('other_chain', /nothing was signed$/))
      assert.equal(server.ledger.registry().height, 0)
      await submit(change, { chain: server.ledger.chainId })
      assert.equal(server.ledger.registry().height, 1)
    })

    it('names the call that an address which is no authority does not have', async () => {
      const change = await revocation({ id: 'household-9.phone', key: await keyFile(AUTHORITY) })
      await assert.rejects(
        submit(change, { to: `${server.url}/elsewhere` }),
        refusedWith('refused', /^GET genesis was refused with HTTP 404/),
      )
    })

    describe('what cannot be meant is refused before anything is made or sent:', () => {
      const cases: readonly (readonly [string, () => Promise<unknown>, RegExp])[] = [
        [
          'an id',
          async () => rotation({ id: 'a b', key: 'x', newKey: file('new.key') }),
          /^--id: expected an identifier/,
        ],
        ['a role', async () => enrolment({ id: 'a', role: 'king', key: 'x' }), /^--role: expected voter, validator or/],
        ['a user', async () => enrolment({ id: 'a', role: 'voter', key: 'x', userId: '' }), /^--user-id: expected/],
        ['a policy', async () => policyChange({ id: 'a', key: 'x', finality: 'votes:0' }), /^--finality: expected/],
        ['a URL', async () => submit(revoke(), { to: 'localhost:8080' }), /^--to: expected a URL/],
        ['a chain', async () => submit(revoke(), { chain: 'AB' }), /^--chain: expected a chain_id/],
        [
          'a token file that is not there',
          async () => submit(revoke(), { tokenFile: file('none') }),
          /file \(no such file/,
        ],
        [
          'tokens.json itself as token file',
          async () => submit(revoke(), { tokenFile: await tokenFile('{"operator":"hunter2"}') }),
          /^--token-file: (?!.*hunter2)/,
        ],
      ]
      const revoke = async () => revocation({ id: 'household-9.phone', key: await keyFile(AUTHORITY) })
      for (const [what, run, message] of cases) {
        it(what, async () => {
          await assert.rejects(run(), (error) => error instanceof UsageError && message.test(error.message))
          await assert.rejects(stat(file('new.key')))
          assert.equal(server.ledger.registry().height, 0)
        })
      }
    })

    describe('as a process', () => {
      async function run(...args: readonly string[]) {
        const child = spawn(process.execPath, [cliFile(), 'keys', ...args], {
          cwd: folder.path,
          stdio: ['ignore', 'pipe', 'pipe'],
        })
        let [out, err] = ['', '']
        child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
        child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
        const [code] = (await once(child, 'close')) as [number | null]
        return { code, out, err }
      }

      it('prints what happened, as lines and as JSON, and exits 1 with one line when refused', async () => {
        const key = await keyFile(PHONE)
        const options = ['--id', 'household-7.phone', '--key', key, '--to', server.url]
        const made = await run('rotate', ...options, '--new-key', 'new.key', '--json')
        assert.deepEqual([made.code, made.err], [0, ''])
        const { tick_id, id, tx_hash, ...rest } = JSON.parse(made.out) as Record<'tick_id' | 'id' | 'tx_hash', string>
        assert.match(tx_hash, /^[0-9a-f]{64}$/)
        assert.match(`${id} ${tick_id}`, /^rotate:([0-9a-f]{32}) registry:\1$/)
        assert.deepEqual(rest, {
          action: 'rotate',
          subject_id: 'household-7.phone',
          public_key: await publicKey(file('new.key')),
          chain_id: server.ledger.chainId,
          changed: true,
          height: 1,
          key_file: 'new.key',
          key_file_created: true,
        })
        const again = await run('rotate', ...options, '--new-key', 'new.key')
        assert.equal(again.code, 0)
        assert.match(again.out, /^rotate {6}household-7\.phone has the key .+ as of block 1, was so already/)
        const refused = await run('revoke', ...options)
        assert.deepEqual([refused.code, refused.out], [1, ''])
        assert.match(refused.err, /^solar-node: revoke of household-7\.phone was refused with HTTP 422 .+\n$/)
      })
    })

    it('shows an example in the help of each change', () => {
      const keys = createProgram().commands.find((command) => command.name() === 'keys')
      for (const action of ['enrol', 'rotate', 'revoke', 'recover', 'policy']) {
        const command = keys?.commands.find((candidate) => candidate.name() === action)
        let help = ''
        command?.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
        assert.match(help, new RegExp(`\\n  solar-node keys ${action} --id `))
      }
    })
  })

  it('a change whose answer was lost is posted again with the same bytes and made once', async () => {
    let failures = 1
    await start((ledger) => ({
      ...ledger,
      register: async (transaction, userId) => {
        const answer = await ledger.register(transaction, userId)
        if (failures-- > 0) {
          throw ledgerError('store_failed', { store: 'sql', operation: 'commit', retryable: true, reason: 'gone' })
        }
        return answer
      },
    }))
    const { accepted, height } = await submit(revocation({ id: 'household-9.phone', key: await keyFile(AUTHORITY) }))
    assert.ok(accepted !== null)
    assert.deepEqual([height, server.ledger.registry().height], [1, 1])
    assert.equal(notices.length, 1)
  })

  it('a new key is on disk before the authority hears of it, and a kill then loses nothing', async () => {
    const asked = new EventEmitter()
    let isFirst = true
    await start((ledger) => ({
      ...ledger,
      register: async (transaction, userId) => {
        if (!isFirst) return await ledger.register(transaction, userId)
        isFirst = false
        asked.emit('asked', await publicKey(file('new.key')))
        await once(asked, 'killed')
        throw ledgerError('store_failed', { store: 'sql', operation: 'commit', retryable: true, reason: 'gone' })
      },
    }))
    const line = [
      '--id',
      'household-7.phone',
      '--key',
      await keyFile(PHONE),
      '--new-key',
      'new.key',
      '--to',
      server.url,
    ]
    const run = () =>
      spawn(process.execPath, [cliFile(), 'keys', 'rotate', ...line], { cwd: folder.path, stdio: 'ignore' })
    const heard = once(asked, 'asked')
    const killed = run()
    const [onDisk] = (await heard) as [string]
    killed.kill('SIGKILL')
    await once(killed, 'close')
    asked.emit('killed')
    assert.deepEqual(await once(run(), 'close'), [0, null])
    assert.equal(entry('household-7.phone')?.public_key, onDisk)
  })

  it('an authority whose genesis hashes to another chain than it says is not signed for', async () => {
    await start((ledger) => ({ ...ledger, genesis: { ...TEST_GENESIS, name: 'Other Street' } }))
    const change = revocation({ id: 'household-9.phone', key: await keyFile(AUTHORITY) })
    await assert.rejects(submit(change), refusedWith('bad_answer', /its genesis hashes to/))
    assert.equal(server.ledger.registry().height, 0)
  })
})
