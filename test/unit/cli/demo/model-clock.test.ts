import assert from 'node:assert/strict'
import fc from 'fast-check'
import { clockTime, zoneText } from '../../../../src/cli/demo/block-line.ts'
import { createModelClock, TICK_MS } from '../../../../src/cli/demo/model-clock.ts'
import { HOUSEHOLDS, modelOrder, sunAltitude } from '../../../../src/cli/demo/model.ts'
import { formatTime } from '../../../../src/web/format.ts'

/**
 * Zones with half and quarter hours, of both hemispheres, the last ones on both sides; each with a year, among them those in whose
 * summer clocks were changed.
 */
const YEARS = {
  UTC: 2024,
  'Europe/Berlin': 2025,
  'Asia/Kolkata': 2025,
  'Asia/Kathmandu': 2025,
  'America/Los_Angeles': 2023,
  'America/Santiago': 2016,
  'Africa/Casablanca': 2018,
  'Africa/Cairo': 2014,
  'Australia/Lord_Howe': 2025,
  'Pacific/Chatham': 2025,
  'Pacific/Kiritimati': 2025,
  'Pacific/Pago_Pago': 2025,
}
const ZONES = Object.keys(YEARS)
const YEARS_BACK = 5
const DAY_MS = 86_400_000
/** Beyond the five years that a clock begins with, if the real one stands. */
const MANY_TICKS = 100_000
const from = (iso: string): number => Date.parse(iso)

describe('the model clock of the demo', () => {
  const { TZ } = process.env
  afterEach(() => {
    if (TZ === undefined) delete process.env.TZ
    else process.env.TZ = TZ
  })

  it('neither runs backwards nor ahead of the real clock, for years of demo time, whatever the real clock does', () => {
    const steady = fc.constant([2_000])
    const unsteady = fc.array(
      fc.oneof(
        { weight: 8, arbitrary: fc.constant(2_000) },
        // Suspended for an hour or for months; set back by a minute or by years.
        { weight: 1, arbitrary: fc.constantFrom(3_600_000, 30 * DAY_MS) },
        { weight: 1, arbitrary: fc.constantFrom(-60_000, -40 * DAY_MS) },
      ),
      { minLength: 50, maxLength: 50 },
    )
    const begin = fc.integer({ min: from('2000-01-01T00:00:00Z'), max: from('2100-01-01T00:00:00Z') })
    const property = fc.property(fc.constantFrom(...ZONES), begin, fc.oneof(steady, unsteady), (zone, start, steps) => {
      process.env.TZ = zone
      let now = start
      const clock = createModelClock(() => now)
      let last = clock.startAt
      assert.ok(last < start)
      let isOver = false
      for (let tick = 0; !isOver && tick < MANY_TICKS; tick++) {
        now += steps[tick % steps.length]!
        const at = clock.next()
        isOver = at === undefined
        if (at === undefined) continue
        assert.ok(at <= now, `${at} is ahead of ${now}`)
        assert.ok(at > last, `${at} is not after ${last}`)
        assert.equal(at % TICK_MS, 0)
        last = at
      }
    })
    fc.assert(property, { numRuns: 12 })
  })

  it('goes through five summers and more before it is over, and through nothing but summers', () => {
    for (const zone of ['Europe/Berlin', 'Pacific/Chatham']) {
      process.env.TZ = zone
      const clock = createModelClock(() => from('2026-11-29T20:00:00Z'))
      const days = new Set<string>()
      for (let at = clock.next(); at !== undefined; at = clock.next()) days.add(new Date(at).toDateString())
      assert.equal(days.size, (YEARS_BACK + 1) * 123, zone)
      assert.ok([...days].every((day) => / (May|Jun|Jul|Aug) /.test(day)))
      assert.equal(clock.next(), undefined)
    }
  })

  it('has the sun highest at noon by the clocks of the zone, and trades every day from morning to afternoon', () => {
    for (const [zone, year] of Object.entries(YEARS)) {
      process.env.TZ = zone
      const clock = createModelClock(() => Date.UTC(year + YEARS_BACK, 10, 29))
      const days = new Map<string, { altitude: number; noon: number; lastSale: number }>()
      for (let at = clock.startAt; new Date(at).getFullYear() === year; at = clock.next() ?? Infinity) {
        const time = new Date(at)
        const hour = time.getHours() + time.getMinutes() / 60
        const day = days.get(time.toDateString()) ?? { altitude: -90, noon: 0, lastSale: 0 }
        days.set(time.toDateString(), day)
        const altitude = sunAltitude(at)
        if (altitude > day.altitude) Object.assign(day, { altitude, noon: hour })
        const sides = HOUSEHOLDS.map((household) => modelOrder(household, at, () => 0.5)?.side)
        if (!sides.includes('sell')) continue
        assert.ok(sides.includes('buy'))
        day.lastSale = hour
      }
      assert.equal(days.size, 123)
      for (const [day, { altitude, noon, lastSale }] of days) {
        assert.ok(altitude > 60, `${altitude} degrees on ${day} in ${zone}`)
        // Where clocks are changed within the summer, noon moves with them.
        assert.ok(noon >= 10.5 && noon <= 13.5, `noon at ${noon} on ${day} in ${zone}`)
        assert.ok(lastSale > 15, `the last sale on ${day} in ${zone} is at ${lastSale}`)
      }
    }
  })

  it('is read alike on the terminal and on the page', () => {
    const times = [
      '2016-05-15T12:00:00Z',
      '2018-05-13T02:00:00Z',
      '2023-04-28T10:45:00Z',
      '2025-06-30T23:45:00Z',
      '2026-03-29T01:00:00Z',
    ].map(from)
    for (const zone of ZONES) {
      process.env.TZ = zone
      for (const at of times) assert.equal(clockTime(at), formatTime(at, at, { locale: 'en-GB' }), zone)
    }
  })

  it('names the zone once, with its offset, also where TZ is no name', () => {
    const summer = from('2025-06-30T12:00:00Z')
    const named = (zone: string): string => {
      process.env.TZ = zone
      return zoneText(summer)
    }
    assert.equal(named('Europe/Berlin'), 'Europe/Berlin (GMT+2)')
    assert.match(named('Asia/Kathmandu'), /^Asia\/Kat[h]?mandu \(GMT\+5:45\)$/)
    assert.equal(named('UTC+3'), 'GMT-3')
  })
})
