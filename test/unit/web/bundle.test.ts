import { build } from 'esbuild'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const source = (name: string) => fileURLToPath(new URL(`../../../src/web/${name}`, import.meta.url))
/** Bytes, minified. A household opens this on a phone. */
const BUDGET = 175_000

describe('web page files', () => {
  it('bundle for a browser within the byte budget, without anything of Node', async () => {
    const { outputFiles, metafile } = await build({
      entryPoints: [source('app.ts')],
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2022',
      platform: 'browser',
      metafile: true,
      write: false,
      logLevel: 'silent',
    })
    const bytes = outputFiles[0]?.contents.length ?? Infinity
    assert.ok(bytes <= BUDGET, `${bytes} bytes, at most ${BUDGET}`)
    assert.deepEqual(
      Object.values(metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path)),
      [],
    )
  })

  it('have nothing inline and nothing from elsewhere, so that the strict policy holds', () => {
    const html = readFileSync(source('index.html'), 'utf8')
    const css = readFileSync(source('app.css'), 'utf8')
    assert.match(html, /default-src 'none'; script-src 'self'; style-src 'self'/)
    assert.doesNotMatch(html, /unsafe-|<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|https?:\/\//)
    assert.doesNotMatch(css, /@import|url\(|https?:\/\//)
  })
})
