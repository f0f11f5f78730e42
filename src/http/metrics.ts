import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { LedgerEvent, TickOutcome } from '../ports/ledger.ts'
import type { OutboxCounts } from '../ports/outbox.ts'

export type OutboxOutcome = 'sealed' | 'parked'

/** What an operator watches. One registry a server; the composition root feeds it from the ledger's events. */
export interface Metrics {
  /** Counts a header, a vote or a finality. `now` in Unix milliseconds. */
  recordEvent(event: LedgerEvent, now: number): void
  /** Sets the heights found at start; events move them on. `null`: none yet. */
  setHeights(height: number | null, finalHeight: number | null): void
  recordTick(outcome: TickOutcome): void
  recordOutboxRow(outcome: OutboxOutcome): void
  /** How long a Merkle proof took to make, over HTTP or libp2p. */
  recordProof(seconds: number): void
  recordRequest(method: string, route: string, status: number, seconds: number): void
  /** Blocks whose bodies are in archive files. */
  setArchived(blocks: number): void
  /** Asks for the number of connected peers whenever metrics are read. */
  watchPeers(count: () => number): void
  /** Asks for the rows of the outbox that wait and are parked whenever metrics are read. */
  watchOutbox(counts: () => Promise<OutboxCounts>): void
  /** Asks for the number of void ticks whenever metrics are read. */
  watchVoidTicks(count: () => Promise<number>): void
  /** Shows from now on whether this authority leads. */
  watchLeading(leads: () => boolean): void
  /**
   * Shows from now on whether this validator knows what its key has acked before, without which it acks
   * nothing.
   */
  watchAcking(mayAck: () => boolean): void
  /** Prometheus text format 0.0.4. */
  text(): Promise<string>
}

/** Blocks that wait for finality and are timed; more are not. */
const MAX_TIMED_BLOCKS = 10_000
const FAST_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const SLOW_SECONDS = [0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600]

const counterIn =
  (registry: Registry) =>
  (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers: [registry] })
const gaugeIn = (registry: Registry) => (name: string, help: string, collect?: () => number) =>
  new Gauge({
    name,
    help,
    registers: [registry],
    ...(collect && {
      collect() {
        this.set(collect())
      },
    }),
  })

/** How long blocks took from their header to their finality; a final header finalizes all below it. */
function createFinalityTimer(observe: (seconds: number) => void) {
  const seenAt = new Map<number, number>()
  return {
    seen(height: number, now: number) {
      if (!seenAt.has(height) && seenAt.size < MAX_TIMED_BLOCKS) seenAt.set(height, now)
    },
    final(upTo: number, at: number) {
      for (const [height, since] of seenAt) {
        if (height > upTo) continue
        seenAt.delete(height)
        observe(Math.max(0, at - since) / 1000)
      }
    },
  }
}

function registerOutboxGauge(registry: Registry, counts: () => Promise<OutboxCounts>): void {
  new Gauge({
    name: 'solar_outbox_rows',
    help: 'Rows of the outbox that are not sealed, as SQL last said',
    labelNames: ['state'],
    registers: [registry],
    async collect() {
      // Without SQL the other metrics are what an operator needs most.
      const found = await counts().catch(() => undefined)
      if (found === undefined) return
      this.set({ state: 'waiting' }, found.waiting)
      this.set({ state: 'parked' }, found.parked)
    },
  })
}

function registerVoidGauge(registry: Registry, count: () => Promise<number>): void {
  new Gauge({
    name: 'solar_void_ticks',
    help: 'Ticks that were committed and can never be sealed, as SQL last said: above 0 an operator should look (audit lists them)',
    registers: [registry],
    async collect() {
      const found = await count().catch(() => undefined)
      if (found !== undefined) this.set(found)
    },
  })
}

export function createMetrics(): Metrics {
  const registry = new Registry()
  const counter = counterIn(registry)
  const gauge = gaugeIn(registry)
  const histogram = (name: string, help: string, buckets: number[], labelNames: string[] = []) =>
    new Histogram({ name, help, buckets, labelNames, registers: [registry] })

  const blocks = counter('solar_blocks_total', 'Headers accepted since start')
  const votes = counter('solar_votes_total', 'Votes counted since start', ['decision'])
  const evidence = counter('solar_evidence_total', 'Pieces of evidence of misbehaviour since start', ['kind'])
  const ticks = counter('solar_ticks_total', 'Ticks since start', ['outcome'])
  const outboxRows = counter('solar_outbox_rows_total', 'Rows of the outbox taken since start', ['outcome'])
  const tip = gauge('solar_height', 'Height of the tip; -1 on an empty chain')
  const final = gauge('solar_final_height', 'Height of the last final block; -1 before the first')
  const archived = gauge('solar_archived_blocks', 'Blocks whose bodies are in archive files')
  const proofs = histogram('solar_proof_duration_seconds', 'Making a Merkle proof', FAST_SECONDS)
  const finality = histogram('solar_finalization_seconds', 'From a header to its finality', SLOW_SECONDS)
  const requests = histogram('solar_http_request_duration_seconds', 'HTTP requests', FAST_SECONDS, [
    'method',
    'route',
    'status',
  ])
  gauge('process_resident_memory_bytes', 'Resident memory', () => process.memoryUsage.rss())
  let peers = (): number => 0
  gauge('solar_peers', 'Connected libp2p peers', () => peers())

  const timer = createFinalityTimer((seconds) => finality.observe(seconds))
  let highest = -1
  let highestFinal = -1
  // Heights only grow here: a fork's header below the tip does not lower it.
  const reach = (height: number) => tip.set((highest = Math.max(highest, height)))
  const reachFinal = (height: number) => final.set((highestFinal = Math.max(highestFinal, height)))
  reach(-1)
  reachFinal(-1)

  return {
    recordEvent(event, now) {
      switch (event.type) {
        case 'header': {
          const { height } = event.sealed.header
          blocks.inc()
          reach(height)
          timer.seen(height, now)
          if (event.status === 'final') {
            reachFinal(height)
            timer.final(height, now)
          }
          return
        }
        case 'final':
          reachFinal(event.height)
          timer.final(event.height, event.finalized_at)
          return
        case 'vote':
          votes.inc({ decision: event.vote.decision })
          return
        case 'evidence':
          evidence.inc({ kind: event.evidence.kind })
          return
      }
    },
    setHeights(height, finalHeight) {
      reach(height ?? -1)
      reachFinal(finalHeight ?? -1)
    },
    setArchived: (count) => archived.set(count),
    recordTick: (outcome) => ticks.inc({ outcome }),
    recordProof: (seconds) => proofs.observe(seconds),
    recordRequest: (method, route, status, seconds) => requests.observe({ method, route, status }, seconds),
    recordOutboxRow: (outcome) => outboxRows.inc({ outcome }),
    watchOutbox: (counts) => registerOutboxGauge(registry, counts),
    watchVoidTicks: (count) => registerVoidGauge(registry, count),
    watchPeers(count) {
      peers = count
    },
    watchLeading(leads) {
      gauge('solar_leading', '1 while this authority leads, 0 while it stands by', () => (leads() ? 1 : 0))
    },
    watchAcking(mayAck) {
      const help =
        '0 while this validator acks nothing because too few peers said what its key has acked before, else 1'
      gauge('solar_acks_known', help, () => (mayAck() ? 1 : 0))
    },
    text: () => registry.metrics(),
  }
}
