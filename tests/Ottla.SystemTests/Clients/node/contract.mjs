// What the JavaScript drivers share: the contract of ../../README.md in JSON lines.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { inspect } from 'node:util'

export const TIMEOUT_MS = 30000

// How to log in, as the tests say: protocol, mechanism, username and password or token, and the file of the authority. Undefined for no login.
export const login = process.env.CLIENT_LOGIN ? JSON.parse(process.env.CLIENT_LOGIN) : undefined
export const authorities = login?.protocol === 'SASL_SSL' ? [readFileSync(login.ca)] : undefined

export const encode = bytes => (bytes === null || bytes === undefined ? null : Buffer.from(bytes).toString('base64'))
export const decode = text => (text === null ? null : Buffer.from(text, 'base64'))

export async function readLines() {
  const parsed = []
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    parsed.push(JSON.parse(line))
  }
  return parsed
}

export function printRecord({ partition, offset, timestamp, key, value, headers }) {
  const record = {
    partition,
    offset: Number(offset),
    timestamp: Number(timestamp),
    key: encode(key),
    value: encode(value),
    headers: headers.map(([name, header]) => [encode(name), encode(header)])
  }
  process.stdout.write(JSON.stringify(record) + '\n')
}

export const printEvent = event => process.stdout.write(JSON.stringify(event) + '\n')

// A member of a group lives until whoever started it closes its input.
export function endOfInput() {
  process.stdin.resume()
  return new Promise(resolve => process.stdin.once('end', resolve))
}

// Runs admin operations one after another. `errorCodeOf` finds Kafka's error code in what the client throws.
export async function runAdmin(operations, errorCodeOf) {
  for (const { op, ...fields } of await readLines()) {
    const operation = operations[op]
    let answer
    try {
      answer = operation ? { ok: true, ...(await operation(fields)) } : { unsupported: true }
    } catch (error) {
      const code = errorCodeOf(error)
      if (code === undefined) {
        throw error
      }
      answer = { error: code, message: String(error.message) }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
}

// Runs the command named on the command line. A client may leave timers behind, so the process ends explicitly, after its output left.
export async function main(commands) {
  const [command, ...parameters] = process.argv.slice(2)
  // A member of a group ends when its input does.
  const deadline = ['group', 'transform'].includes(command) ? undefined : setTimeout(() => fail(new Error(`${command} took longer than ${TIMEOUT_MS} ms`)), TIMEOUT_MS)
  try {
    await commands[command](...parameters)
    clearTimeout(deadline)
    process.stdout.write('', () => process.exit(0))
  } catch (error) {
    fail(error)
  }
}

function fail(error) {
  process.stderr.write(inspect(error, { depth: 5, maxStringLength: 1000 }) + '\n', () => process.exit(1))
}
