import type { Command } from 'commander'
import { describeChange, type RegistryChange } from '../keys/change.ts'
import { enrolment, policyChange, recovery, revocation, rotation } from '../keys/changes.ts'
import { countersignedRequest } from '../keys/request-file.ts'
import { submitChange, writeRequest, type Submitted, type Target } from '../keys/submit.ts'
import { printResult } from '../output.ts'
import type { GlobalOptions } from '../program.ts'

const AFTER = `
The transaction is signed here and posted; no key leaves its file. --chain makes sure that it is signed for your chain and
no other. A command that was broken off can be run again: what is done already is not done twice.`

const AUTHORITY_KEY =
  'key file of an active authority that signs as well: to enrol an authority or a validator, or to recover what an authority has revoked'
const OUT = 'write what is signed here into FILE and send nothing, for an authority to countersign elsewhere'

/** `solar-node keys enrol|rotate|revoke|recover|countersign|policy`: changes of the registry of a running authority. */
export function registerKeyChanges(keys: Command): void {
  change(keys, 'enrol', 'register a new key: a new household, a lost phone’s replacement', (command) =>
    enrolment(command.optsWithGlobals()),
  )
    .requiredOption('--key <file>', 'key file of the new key; it signs, as proof that you hold it')
    .requiredOption('--role <role>', 'voter, validator or authority')
    .option('--recovery-key <key>', 'PUBLIC_KEY or FILE that may replace the key when it is lost')
    .option('--user-id <user>', 'the platform user that the key belongs to; it stays off the chain')
    .option('--authority-key <file>', AUTHORITY_KEY)
    .option('--token-file <file>', 'file with a platform token (role voter) or an operator token (any role)')
    .option('--out <file>', OUT)
    .addHelpText(
      'after',
      example(
        'keys new --out phone.key',
        'keys enrol --id home-3.phone --role voter --key phone.key --user-id home-3 \\\n' +
          '    --to http://127.0.0.1:8080 --token-file platform.token',
        'keys enrol --id school --role validator --key school.key --authority-key solar-data/authority.key \\\n' +
          '    --to http://127.0.0.1:8080 --token-file operator.token',
      ),
    )
  change(keys, 'rotate', 'replace a key, while the old one is there', (command) => rotation(command.optsWithGlobals()))
    .requiredOption('--key <file>', 'key file of the present key; it signs')
    .requiredOption('--new-key <file>', 'key file of the new key; made (0600) if it is not there')
    .option('--recovery-key <key>', 'PUBLIC_KEY or FILE of a first recovery key; one that is registered stays')
    .addHelpText(
      'after',
      example('keys rotate --id school --key school.key --new-key school-2.key --to http://127.0.0.1:8080'),
    )
  change(keys, 'revoke', 'take a key out of service', (command) => revocation(command.optsWithGlobals()))
    .requiredOption('--key <file>', 'key file of the subject itself, or of an authority; it signs')
    .addHelpText(
      'after',
      example('keys revoke --id home-3.phone --key solar-data/authority.key --to http://127.0.0.1:8080'),
    )
  change(keys, 'recover', 'replace a lost or revoked key by means of its recovery key', (command) =>
    recovery(command.optsWithGlobals()),
  )
    .requiredOption(
      '--recovery-key <file>',
      'key file or words of the registered recovery key, - to type the words; it signs',
    )
    .requiredOption('--new-key <file>', 'key file of the new key; made (0600) if it is not there')
    .option('--new-recovery-key <key>', 'PUBLIC_KEY or FILE of the next recovery key; the present one stays without it')
    .option('--authority-key <file>', AUTHORITY_KEY)
    .option('--token-file <file>', 'file with a platform or operator token: the authority countersigns a voter')
    .option('--out <file>', OUT)
    .addHelpText(
      'after',
      example('keys recover --id school --recovery-key safe.key --new-key school-2.key --to http://127.0.0.1:8080'),
    )
  change(
    keys,
    'countersign',
    'sign, with an authority’s key, what enrol or recover --out has written, and post it',
    (command) => countersignedRequest(command.args[0] ?? '', command.optsWithGlobals()),
  )
    .argument('<file>', 'what was written with --out, within 24 hours')
    .requiredOption('--authority-key <file>', 'key file of an active authority; it signs')
    .option('--token-file <file>', 'file with an operator token')
    .addHelpText(
      'after',
      example(
        'keys countersign school.json --authority-key solar-data/authority.key \\\n' +
          '    --to http://127.0.0.1:8080 --token-file operator.token',
      ),
    )
  change(keys, 'policy', 'change how blocks become final, from the next height', (command) =>
    policyChange(command.optsWithGlobals()),
  )
    .requiredOption('--key <file>', 'key file of that authority; it signs')
    .requiredOption('--finality <policy>', 'authority, votes:K or validators:M')
    .option('--yes', 'also where fewer were seen voting lately than it takes')
    .addHelpText(
      'after',
      example(
        'keys policy --id authority-1 --key solar-data/authority.key --finality validators:2 \\\n' +
          '    --to http://127.0.0.1:8080',
      ),
    )
}

const example = (...lines: readonly string[]): string =>
  `\nExample:\n${lines.map((line) => `  solar-node ${line}`).join('\n')}\n${AFTER}`

/** A subcommand with what all changes have; `read` makes the change of its options. */
function change(
  keys: Command,
  name: string,
  description: string,
  read: (command: Command) => Promise<RegistryChange>,
): Command {
  const who = name === 'policy' ? 'the authority that asks for it' : 'whose key: its id in the registry'
  const command = keys.command(name).description(description)
  // What is countersigned says it itself.
  if (name !== 'countersign') command.requiredOption('--id <id>', who)
  return command
    .requiredOption('--to <url>', 'the authority, such as http://127.0.0.1:8080')
    .option('--chain <chain_id>', 'sign for this chain only')
    .option('--passphrase-file <file>', 'opens encrypted key files, and encrypts a new one')
    .action(async () => {
      const { out, ...options } = command.optsWithGlobals<Target & GlobalOptions & { readonly out?: string }>()
      const notice = (line: string) => process.stderr.write(`solar-node: ${line}\n`)
      const wanted = await read(command)
      if (wanted.signed !== undefined) notice(`countersigns that ${describeChange(wanted.fields)}`)
      if (out !== undefined) {
        const { chainId } = await writeRequest(wanted, { ...options, out }, notice)
        printResult(options.json === true, requestLines(wanted, chainId, out), { file: out, chain_id: chainId })
        return
      }
      const submitted = await submitChange(wanted, options, notice)
      printResult(options.json === true, linesOf(wanted, submitted), resultOf(wanted, submitted))
    })
}

const requestLines = ({ fields }: RegistryChange, chainId: string, out: string): readonly string[] => [
  `signed      ${describeChange(fields)}: nothing was sent`,
  `chain       ${chainId}`,
  `request     ${out}, for solar-node keys countersign within 24 hours`,
]

function linesOf({ fields, newKey }: RegistryChange, { chainId, accepted, height }: Submitted): readonly string[] {
  const where = height === null ? 'accepted; its block has not been seen yet' : `as of block ${height}`
  const done = accepted === null ? `${where}, was so already: nothing was sent` : where
  return [
    `${fields.action.padEnd(11)} ${describeChange(fields)}, ${done}`,
    ...(accepted === null ? [] : [`tick        ${accepted.tick_id}`, `hash        ${accepted.tx_hash}`]),
    `chain       ${chainId}`,
    ...(newKey === undefined ? [] : [`key file    ${newKey.file}${newKey.created ? ', made just now' : ''}`]),
  ]
}

const resultOf = ({ fields, newKey }: RegistryChange, { chainId, accepted, height }: Submitted): object => ({
  ...fields,
  chain_id: chainId,
  changed: accepted !== null,
  id: accepted?.id ?? null,
  tick_id: accepted?.tick_id ?? null,
  tx_hash: accepted?.tx_hash ?? null,
  height,
  ...(newKey !== undefined && { key_file: newKey.file, key_file_created: newKey.created }),
})
