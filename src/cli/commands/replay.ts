import type { Command } from 'commander'
import { Interrupted, SIGNALS } from '../long-work.ts'
import { EXIT, UsageError } from '../output.ts'
import { isOutputClosed } from '../streams.ts'

const EXAMPLES = `
Examples:
  solar-node replay readings.csv --to http://127.0.0.1:8080 --token-file ./operator.token
  solar-node replay readings.csv --to http://127.0.0.1:8080 --token-file ./operator.token --speed 2
  solar-node replay roof.csv flat.csv shop.csv --zone Europe/Vienna --to ... --token-file ./operator.token
  solar-node replay readings.csv --corrections late.csv --to ... --token-file ... --platform-token-file ./platform.token

A FILE has a header line with interval_start_local (or timestamp), household, load_kwh, pv_kwh and price_usd_per_kwh
(or price_per_kwh), separated by commas, semicolons or tabs. Give the files of all meters at once: an interval is closed
after its tick. A replay that was broken off, or is run again, commits nothing twice.`

const LEFT = 'what it has committed stays, run the same command again to go on'

interface ReplayFlags {
  readonly to: string
  readonly zone?: string
  readonly speed?: string
  readonly tokenFile?: string
  readonly feedIn: string
  readonly corrections?: string
  readonly platformTokenFile?: string
  readonly skipBad?: true
  readonly json?: true
}

/** `solar-node replay`: meter readings of a file as orders and ticks of an authority. */
export function registerReplay(program: Command): void {
  program
    .command('replay')
    .description('replay meter readings: orders and ticks for each interval of CSV files')
    .argument('<files...>', 'CSV files: load and PV production by household and interval')
    .requiredOption('--to <url>', 'the authority, such as http://127.0.0.1:8080')
    .option('--zone <zone>', 'time zone of times without an offset, such as Europe/Vienna (default: they are UTC)')
    .option('--speed <ticks>', 'ticks a second (default: as fast as the authority takes them)')
    .option('--token-file <file>', 'file with one operator token as plain text')
    .option('--corrections <file.csv>', 'late meter readings: what was traded beyond them is corrected')
    .option('--platform-token-file <file>', 'with --corrections: file with one platform token as plain text')
    .option('--feed-in <price>', 'what sellers ask for a kWh', '0.08')
    .option('--skip-bad', 'leave bad rows out instead of refusing all')
    .addHelpText('after', EXAMPLES)
    .action(async (files: string[], _options, command: Command) => {
      const flags = command.optsWithGlobals<ReplayFlags>()
      const { to, zone, speed, tokenFile, feedIn, skipBad, json, corrections, platformTokenFile } = flags
      const { runReplay } = await import('../replay/replay.ts')
      const { zoneClock } = await import('../time-zone.ts')
      const stop = new AbortController()
      const onSignal = (signal: (typeof SIGNALS)[number]): void => {
        // A second signal finds no handler and ends the process at once.
        for (const name of SIGNALS) process.off(name, onSignal)
        // Nobody reads the output any more (`| head -1`): that comes as a SIGTERM of our own.
        stop.abort(
          isOutputClosed()
            ? new Error(`the output is closed, replay has stopped: ${LEFT}`)
            : new Interrupted('replay', signal, LEFT),
        )
      }
      for (const signal of SIGNALS) process.on(signal, onSignal)
      const code = await runReplay(
        {
          files,
          to,
          feedIn,
          skipBad: skipBad === true,
          json: json === true,
          ...(zone !== undefined && { clock: zoneClock(zone) }),
          ...(speed !== undefined && { speed: ticksPerSecond(speed) }),
          ...(tokenFile !== undefined && { tokenFile }),
          ...(corrections !== undefined && { corrections }),
          ...(platformTokenFile !== undefined && { platformTokenFile }),
        },
        { stdout: process.stdout, stderr: process.stderr, signal: stop.signal },
      )
      for (const signal of SIGNALS) process.off(signal, onSignal)
      if (code !== EXIT.ok) process.exitCode = code
    })
}

function ticksPerSecond(text: string): number {
  const speed = Number(text)
  if (speed > 0 && Number.isFinite(speed)) return speed
  throw new UsageError(`--speed: expected ticks a second, more than 0, got ${JSON.stringify(text)}`)
}
