// A writer and a reader of ./dev chaos on kafkajs. See ../../../Ottla.Chaos/README.md for the contract.
import kafkajs from 'kafkajs'
import { endOfInput } from './contract.mjs'

const { Kafka, logLevel } = kafkajs

const FATAL = 3
const LATE_MS = 1000
const TICK_MS = 20
const RECORDS_PER_SEND_MAX = 100

const tell = (...words) => process.stdout.write(words.join(' ') + '\n')
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))
const nameOf = error => `${error.name} ${error.type ?? ''} ${error.message}`.replaceAll('\n', ' ')
const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000)

const connect = bootstrap =>
  new Kafka({
    clientId: 'chaos-kafkajs',
    brokers: bootstrap.split(','),
    connectionTimeout: 3000,
    requestTimeout: 10000,
    enforceRequestTimeout: true,
    // An idempotent producer must never give up a batch and go on: its sequence would be used twice.
    retry: { initialRetryTime: 50, maxRetryTime: 500, retries: 1000000 },
    logLevel: logLevel.WARN,
    logCreator: () => ({ log }) => process.stderr.write(JSON.stringify(log) + '\n')
  })

async function write(bootstrap, topic, partitions, firstValue, perSecond, padding) {
  const producer = connect(bootstrap).producer({ idempotent: true, maxInFlightRequests: 1, allowAutoTopicCreation: false, metadataMaxAge: 5000 })
  let isOver = false
  endOfInput().then(() => (isOver = true))
  await producer.connect()
  let due = Date.now()
  for (let count = 0; !isOver; ) {
    due = Math.max(due, Date.now() - LATE_MS)
    const records = []
    for (; due <= Date.now() && records.length < RECORDS_PER_SEND_MAX; due += 1000 / perSecond) {
      records.push({ partition: count % partitions, number: Number(firstValue) + count++ })
    }
    if (records.length > 0) {
      await send(producer, topic, records, '0'.repeat(padding))
    }
    await sleep(TICK_MS)
  }
  await producer.disconnect()
}

async function send(producer, topic, records, padding) {
  for (const { partition, number } of records) {
    tell('send', partition, number)
  }
  const sentUs = nowUs()
  try {
    const messages = records.map(({ partition, number }) => ({ partition, value: `${number} ${padding}` }))
    const results = await producer.send({ topic, messages, acks: -1 })
    const ackedUs = nowUs()
    const next = new Map(results.map(({ partition, baseOffset }) => [partition, Number(baseOffset)]))
    for (const { partition, number } of records) {
      const offset = next.get(partition)
      next.set(partition, offset + 1)
      tell('ok', partition, number, offset, sentUs, ackedUs)
    }
  } catch (error) {
    for (const { partition, number } of records) {
      tell('doubt', partition, number, nameOf(error))
    }
    tell('fatal', nameOf(error))
    process.stdout.write('', () => process.exit(FATAL))
    await new Promise(() => {})
  }
}

async function read(bootstrap, topic, partitions, group) {
  if (group === '-') {
    throw new Error('kafkajs reads in groups only')
  }
  const kafka = connect(bootstrap)
  const atEnd = endOfInput().then(() => true)
  // A consumer ends inside with what it does not repeat, such as the generation of a group that its coordinator has lost: the next one begins.
  while (!(await readUntilCrash(kafka, topic, group, atEnd))) {
    tell('error', 'begins anew')
  }
}

async function readUntilCrash(kafka, topic, group, atEnd) {
  const consumer = kafka.consumer({
    groupId: group,
    sessionTimeout: 6000,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 200,
    metadataMaxAge: 5000,
    readUncommitted: false
  })
  const crashed = new Promise(resolve =>
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      tell('error', 'crash', nameOf(payload.error))
      if (!payload.restart) {
        resolve(false)
      }
    }))
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => tell('assign', ...(payload.memberAssignment[topic] ?? [])))
  consumer.on(consumer.events.REBALANCING, () => tell('error', 'rebalancing'))
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning, isStale }) => {
      for (const { offset, value } of batch.messages) {
        if (!isRunning() || isStale()) {
          return
        }
        tell('poll', batch.partition, offset, value.toString().split(' ', 1)[0])
        resolveOffset(offset)
      }
      const next = Number(batch.lastOffset()) + 1
      try {
        await consumer.commitOffsets([{ topic, partition: batch.partition, offset: String(next) }])
        tell('commit', batch.partition, next)
      } catch (error) {
        tell('uncommitted', batch.partition, next, nameOf(error))
        throw error
      }
      await heartbeat()
    }
  })
  const isOver = await Promise.race([atEnd, crashed])
  await consumer.disconnect()
  return isOver
}

const commands = { write, read }
const [command, ...parameters] = process.argv.slice(2)
commands[command](...parameters).then(
  () => process.stdout.write('', () => process.exit(0)),
  error => {
    tell('fatal', nameOf(error))
    process.stdout.write('', () => process.exit(FATAL))
  })
