import { sha256Hex } from './hash.ts'

/** Children by one hex digit of a key's hash. */
const WIDTH = 16

/**
 * A map from strings. Immutable: a change copies the O(log n) nodes on the way to its key and shares the
 * rest. Keys are placed by their hash, so whoever chooses them cannot make it deep.
 */
export class HashTrie<Value> {
  static readonly #empty = new HashTrie<never>(undefined)
  readonly #root: Node<Value> | undefined

  private constructor(root: Node<Value> | undefined) {
    this.#root = root
  }

  static empty<Value>(): HashTrie<Value> {
    return HashTrie.#empty
  }

  get(key: string): Value | undefined {
    return this.#find(key, sha256Hex(key))
  }

  #find(key: string, digits: string): Value | undefined {
    let node = this.#root
    for (let depth = 0; isBranch(node); depth++) node = node[digitAt(digits, depth)]
    return node?.key === key ? node.value : undefined
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  with(key: string, value: Value): HashTrie<Value> {
    const digits = sha256Hex(key)
    if (this.#find(key, digits) === value) return this
    return new HashTrie(put(this.#root, { key, value }, digits, 0))
  }

  without(key: string): HashTrie<Value> {
    return this.has(key) ? new HashTrie(remove(this.#root, key, sha256Hex(key), 0)) : this
  }
}

interface Leaf<Value> {
  readonly key: string
  readonly value: Value
}
type Branch<Value> = readonly (Node<Value> | undefined)[]
type Node<Value> = Leaf<Value> | Branch<Value>

const isBranch = <Value>(node: Node<Value> | undefined): node is Branch<Value> => Array.isArray(node)

/** The value of a lower-case hex digit. */
function digitAt(digits: string, depth: number): number {
  const code = digits.charCodeAt(depth)
  return code < 0x3a ? code - 0x30 : code - 0x57
}

function put<Value>(node: Node<Value> | undefined, leaf: Leaf<Value>, digits: string, depth: number): Node<Value> {
  if (node === undefined) return leaf
  if (!isBranch(node)) {
    if (node.key === leaf.key) return leaf
    const alone = new Array<Node<Value> | undefined>(WIDTH).fill(undefined)
    alone[digitAt(sha256Hex(node.key), depth)] = node
    return put(alone, leaf, digits, depth)
  }
  const at = digitAt(digits, depth)
  return node.with(at, put(node[at], leaf, digits, depth + 1))
}

/** A branch is left as it is with few children: the next key goes there. */
function remove<Value>(
  node: Node<Value> | undefined,
  key: string,
  digits: string,
  depth: number,
): Node<Value> | undefined {
  if (!isBranch(node)) return node?.key === key ? undefined : node
  const at = digitAt(digits, depth)
  const rest = node.with(at, remove(node[at], key, digits, depth + 1))
  return rest.some((child) => child !== undefined) ? rest : undefined
}
