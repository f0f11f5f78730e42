/** A test of mocha that waits for what never comes, with its patience at an end: says how mocha ends it. */
import { Runnable } from 'mocha'
import '../../helpers/mocha-hooks.ts'
import { forgetProgress } from '../../helpers/patience.ts'

const test = new Runnable('hangs', () => new Promise(() => undefined))
test.run((error: unknown) => {
  console.log(String(error))
})
forgetProgress()
