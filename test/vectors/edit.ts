import { copyOf } from './case.ts'

/** Changes of decoded JSON, as the vectors make them: what no type would allow. Paths are names and indices, `a.0.b`. */
export type Edit = (draft: object) => void

interface Place {
  readonly holder: Record<string, unknown>
  readonly name: string
}

function placeOf(draft: object, path: string): Place {
  const names = path.split('.')
  const name = names.pop() ?? ''
  const holder = names.reduce<object>((inner, part) => (inner as Record<string, object>)[part]!, draft)
  return { holder: holder as Record<string, unknown>, name }
}

export function valueAt(draft: object, path: string): unknown {
  const { holder, name } = placeOf(draft, path)
  return holder[name]
}

/** Puts a value in place of another, or where there was none. */
export const set =
  (path: string, value: unknown): Edit =>
  (draft) => {
    const { holder, name } = placeOf(draft, path)
    holder[name] = copyOf(value)
  }

/** Puts what `change` makes of a text there. */
export const editText =
  (path: string, change: (text: string) => string): Edit =>
  (draft) =>
    set(path, change(valueAt(draft, path) as string))(draft)

/** Puts what `change` makes of an array there. */
export const editList =
  (path: string, change: (items: readonly unknown[]) => readonly unknown[]): Edit =>
  (draft) =>
    set(path, change(valueAt(draft, path) as readonly unknown[]))(draft)

/** Puts the value of one place at another. */
export const put =
  (path: string, from: string): Edit =>
  (draft) =>
    set(path, valueAt(draft, from))(draft)

/** Takes a member out of an object, or an item out of an array. */
export const drop =
  (path: string): Edit =>
  (draft) => {
    const { holder, name } = placeOf(draft, path)
    if (Array.isArray(holder)) holder.splice(Number(name), 1)
    else Reflect.deleteProperty(holder, name)
  }

export const append = (path: string, item: unknown): Edit => editList(path, (items) => [...items, item])
/** Another digit in front. */
export const flip = (path: string): Edit => editText(path, (hex) => (hex.startsWith('0') ? '1' : '0') + hex.slice(1))

export const all =
  (...edits: readonly Edit[]): Edit =>
  (draft) =>
    edits.forEach((one) => one(draft))
