import { writeFile } from 'node:fs/promises'
import { PAGE, pageOf } from './page.ts'
import { accessTables } from './table.ts'

await writeFile(PAGE, await pageOf(await accessTables()))
