import js from '@eslint/js'
import regexp from 'eslint-plugin-regexp'
import tseslint from 'typescript-eslint'

/**
 * The walls between the rooms of src/ (docs/architecture.md): which room may import which.
 * Everything that a room may not import is listed, so a new room is closed until somebody opens it.
 */
const rooms = [
  'protocol',
  'payload',
  'market',
  'ports',
  'engine',
  'threads',
  'files',
  'storage',
  'keys',
  'network',
  'http',
  'web',
  'config',
  'node',
  'cli',
]
const mayImport = {
  protocol: [],
  payload: ['protocol'],
  market: ['protocol'],
  ports: ['protocol', 'market'],
  engine: ['protocol', 'market', 'ports'],
  threads: [],
  files: [],
  storage: ['protocol', 'market', 'ports', 'threads', 'files'],
  keys: ['protocol', 'ports', 'files'],
  network: ['protocol', 'ports'],
  http: ['protocol', 'ports', 'payload'],
  config: ['protocol', 'ports', 'payload'],
  web: ['protocol'],
  node: rooms.filter((room) => room !== 'cli'),
  cli: ['node', 'config', 'protocol', 'market', 'keys', 'ports', 'files', 'payload'],
}
const pureRooms = ['protocol', 'payload', 'market', 'ports', 'engine']

const walls = rooms.map((room) => {
  const closed = rooms.filter((other) => other !== room && !mayImport[room].includes(other))
  const patterns = closed.map((other) => ({
    regex: `^(\\.\\./)+${other}/`,
    message: `src/${room} may not import src/${other} (docs/architecture.md)`,
  }))
  if (pureRooms.includes(room)) {
    patterns.push({ regex: '^node:', message: `src/${room} runs in browsers: no node: import` })
  }
  if (room === 'protocol') {
    patterns.push({
      regex: '^(?!\\.|@noble/|uint8arrays)',
      message: 'src/protocol imports itself, @noble and uint8arrays only',
    })
  }
  return {
    files: [`src/${room}/**/*.ts`],
    rules: { 'no-restricted-imports': ['error', { patterns }] },
  }
})

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/consistent-type-definitions': ['error', 'interface'],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  ...walls,
  {
    // Text comes from strangers: no pattern may take more than linear time, at any place in it.
    files: ['src/**'],
    plugins: { regexp },
    rules: {
      'regexp/no-super-linear-backtracking': ['error', { report: 'potential' }],
      'regexp/no-super-linear-move': ['error', { report: 'potential' }],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/protocol/json.ts', 'src/protocol/json-pieces.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'JSON', property: 'parse', message: 'parseJson of src/protocol/json.ts refuses deep nesting first' },
      ],
    },
  },
  {
    // mocha's describe/it return promises only to itself, and assert.rejects is awaited where it matters.
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-floating-promises': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      'no-restricted-syntax': [
        'error',
        {
          selector: "CallExpression[callee.property.name='timeout'][callee.object.type!='Identifier']",
          message: 'all tests have one limit, that of test/helpers/patience.ts',
        },
      ],
    },
  },
  {
    files: ['**/*.js'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
)
