// A registry that has the packages of a release and no others, for what installs from nothing else. A thread of its own, as the
// one that starts it waits for programs to end. Posts its address.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { basename } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'

const manifestIn = (tarball) =>
  JSON.parse(execFileSync('tar', ['-xOf', tarball, 'package/package.json']))

const answers = new Map()

const server = createServer(({ url }, response) => {
  const answer = answers.get(decodeURIComponent(url))
  response.writeHead(answer === undefined ? 404 : 200).end(answer)
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const address = `http://127.0.0.1:${server.address().port}/`

for (const tarball of workerData) {
  const manifest = manifestIn(tarball)
  const { name, version } = manifest
  const bytes = readFileSync(tarball)
  const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`
  const dist = { tarball: address + basename(tarball), integrity }
  const document = {
    name,
    'dist-tags': { latest: version },
    versions: { [version]: { ...manifest, dist } },
  }
  answers.set(`/${name}`, JSON.stringify(document))
  answers.set(`/${basename(tarball)}`, bytes)
}
parentPort.postMessage(address)
