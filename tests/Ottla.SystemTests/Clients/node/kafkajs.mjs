// The driver for kafkajs. See ../../README.md for the contract.
// kafkajs has no consumer without a group, so `consume` goes below its consumer: to the cluster, broker and batch that the consumer is made of.
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import kafkajs from 'kafkajs'
import Cluster from 'kafkajs/src/cluster/index.js'
import Batch from 'kafkajs/src/consumer/batch.js'
import createSocketFactory from 'kafkajs/src/network/socketFactory.js'
import isolationLevels from 'kafkajs/src/protocol/isolationLevel.js'
import snappy from 'kafkajs-snappy'
import lz4 from 'lz4-napi'
import { authorities, decode, endOfInput, login, main, printEvent, printRecord, readLines, runAdmin, TIMEOUT_MS } from './contract.mjs'

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs

const CONNECT_TIMEOUT_MS = 5000
const METADATA_AGE_MS_MAX = 300000
const FETCH_WAIT_MS_MAX = 100
const LOGIN_TIMEOUT_MS = 10000
const LOGIN_AGAIN_MS = 10000
const PARTITION_BYTES_MAX = 1048576

const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD
}
CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async encoder => lz4.compressFrame(encoder.buffer),
  decompress: async buffer => lz4.decompressFrame(buffer)
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => zstdCompressSync(encoder.buffer),
  decompress: async buffer => zstdDecompressSync(buffer)
})

const sasl = login && {
  mechanism: login.mechanism.toLowerCase(),
  ...(login.token ? { oauthBearerProvider: async () => ({ value: login.token }) } : { username: login.username, password: login.password })
}
const security = { ssl: authorities && { ca: authorities }, sasl }

const connect = bootstrap =>
  new Kafka({
    ...security,
    clientId: 'kafkajs-driver',
    brokers: bootstrap.split(','),
    logLevel: logLevel.ERROR,
    logCreator: () => ({ log }) => process.stderr.write(JSON.stringify(log) + '\n')
  })

async function withAdmin(bootstrap, action) {
  const admin = connect(bootstrap).admin()
  await admin.connect()
  try {
    return await action(admin)
  } finally {
    await admin.disconnect()
  }
}

async function createTopic(bootstrap, topic, partitions) {
  await withAdmin(bootstrap, admin =>
    admin.createTopics({ topics: [{ topic, numPartitions: Number(partitions), replicationFactor: 1 }], timeout: TIMEOUT_MS }))
}

// kafkajs takes several values of one header name as an array.
function headersOf(pairs) {
  const headers = {}
  for (const [name, value] of pairs) {
    const key = decode(name).toString('utf8')
    headers[key] = key in headers ? [].concat(headers[key], [decode(value)]) : decode(value)
  }
  return headers
}

async function produce(bootstrap, topic, codec) {
  const messages = (await readLines()).map(record => ({
    partition: record.partition,
    timestamp: String(record.timestamp),
    key: decode(record.key),
    value: decode(record.value),
    headers: headersOf(record.headers)
  }))
  const producer = connect(bootstrap).producer({ allowAutoTopicCreation: false })
  await producer.connect()
  await producer.send({ topic, messages, acks: -1, compression: CODECS[codec] })
  await producer.disconnect()
}

const connectCluster = async bootstrap => {
  const cluster = new Cluster({
    logger: connect(bootstrap).logger(),
    socketFactory: createSocketFactory(),
    brokers: bootstrap.split(','),
    ...security,
    clientId: 'kafkajs-driver',
    connectionTimeout: CONNECT_TIMEOUT_MS,
    authenticationTimeout: LOGIN_TIMEOUT_MS,
    reauthenticationThreshold: LOGIN_AGAIN_MS,
    enforceRequestTimeout: true,
    metadataMaxAge: METADATA_AGE_MS_MAX,
    allowAutoTopicCreation: false
  })
  await cluster.connect()
  return cluster
}

async function consume(bootstrap, topic) {
  const offsets = await withAdmin(bootstrap, admin => admin.fetchTopicOffsets(topic))
  const unread = new Map(offsets.filter(({ low, high }) => low !== high).map(({ partition, low, high }) => [partition, { next: BigInt(low), end: BigInt(high) }]))
  const cluster = await connectCluster(bootstrap)
  await cluster.addTargetTopic(topic)
  while (unread.size > 0) {
    for (const [nodeId, partitions] of Object.entries(cluster.findLeaderForPartitions(topic, [...unread.keys()]))) {
      await readFrom(await cluster.findBroker({ nodeId }), topic, partitions, unread)
    }
  }
  await cluster.disconnect()
}

async function readFrom(broker, topic, partitions, unread) {
  const { responses } = await broker.fetch({
    isolationLevel: isolationLevels.READ_COMMITTED,
    maxWaitTime: FETCH_WAIT_MS_MAX,
    topics: [{
      topic,
      partitions: partitions.map(partition => ({ partition, fetchOffset: String(unread.get(partition).next), maxBytes: PARTITION_BYTES_MAX }))
    }]
  })
  for (const data of responses.flatMap(response => response.partitions)) {
    const position = unread.get(data.partition)
    const batch = new Batch(topic, String(position.next), data)
    for (const message of batch.messages) {
      const headers = Object.entries(message.headers ?? {}).flatMap(([name, value]) => [].concat(value).map(one => [Buffer.from(name), one]))
      printRecord({ ...message, partition: data.partition, headers })
    }
    if (!batch.isEmptyIncludingFiltered()) {
      position.next = BigInt(batch.lastOffset()) + 1n
    }
    if (position.next >= position.end) {
      unread.delete(data.partition)
    }
  }
}

async function group(bootstrap, groupId, topic, instance) {
  if (instance !== '-') {
    throw new Error('kafkajs has no static members')
  }
  let consumer = null
  await begin()
  await endOfInput()
  await consumer.disconnect()

  // kafkajs gives up for good where a broker goes while its coordinator is looked for (KafkaJSGroupCoordinatorNotFound is no error that it
  // retries): then, as its users do, begin again.
  async function begin() {
    const member = connect(bootstrap).consumer({
      groupId,
      sessionTimeout: 6000,
      heartbeatInterval: 500,
      maxWaitTimeInMs: FETCH_WAIT_MS_MAX,
      retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 1000 }
    })
    consumer = member
    member.on(member.events.GROUP_JOIN, ({ payload }) => printEvent({ event: 'assigned', partitions: payload.memberAssignment[topic] ?? [] }))
    member.on(member.events.CRASH, ({ payload }) => payload.restart || begin())
    await member.connect()
    await member.subscribe({ topic, fromBeginning: true })
    await member.run({
      autoCommit: false,
      eachBatchAutoResolve: true,
      eachBatch: async ({ batch, heartbeat }) => {
        for (const message of batch.messages) {
          printEvent({ event: 'record', partition: batch.partition, offset: Number(message.offset) })
        }
        const next = Number(batch.lastOffset()) + 1
        await member.commitOffsets([{ topic, partition: batch.partition, offset: String(next) }])
        printEvent({ event: 'committed', partition: batch.partition, offset: next })
        await heartbeat()
      }
    })
  }
}

// Copies records exactly once, until the end of the input. Any failure ends the process: whoever started it starts another, which goes on where
// the group has committed.
async function transform(bootstrap, groupId, topic, toTopic, id) {
  const giveUp = error => {
    process.stderr.write(`${error.message}\n`, () => process.exit(3))
  }
  const kafka = connect(bootstrap)
  const producer = kafka.producer({ transactionalId: id, maxInFlightRequests: 1, idempotent: true, transactionTimeout: 20000 })
  await producer.connect()
  // The transaction of whoever had this id before ends here, before its offsets are asked for.
  await (await producer.transaction()).abort()
  const consumer = kafka.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 500, maxWaitTimeInMs: FETCH_WAIT_MS_MAX, readUncommitted: false })
  consumer.on(consumer.events.CRASH, ({ payload }) => giveUp(payload.error))
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatchAutoResolve: true,
    eachBatch: async ({ batch, heartbeat }) => {
      try {
        printEvent({ event: 'transaction', records: batch.messages.map(({ offset, value }) => [batch.partition, Number(offset), Number(value)]) })
        const transaction = await producer.transaction()
        await transaction.send({ topic: toTopic, messages: batch.messages.map(({ value }) => ({ partition: batch.partition, value })) })
        const offset = String(BigInt(batch.lastOffset()) + 1n)
        await transaction.sendOffsets({ consumerGroupId: groupId, topics: [{ topic, partitions: [{ partition: batch.partition, offset }] }] })
        await transaction.commit()
      } catch (error) {
        giveUp(error)
        await new Promise(() => {})
      }
      printEvent({ event: 'committed', partition: batch.partition, offset: batch.messages.length })
      await heartbeat()
    }
  })
  await endOfInput()
  await consumer.disconnect()
  await producer.disconnect()
}

const configsOf = admin => async ({ topic }) => {
  const { resources } = await admin.describeConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic }] })
  return { configs: Object.fromEntries(resources[0].configEntries.map(({ configName, configValue }) => [configName, configValue])) }
}

// The broker's error code, however deep the client wrapped it.
function errorCodeOf(error) {
  const wrapped = [error.cause, ...(error.errors ?? []), ...[...(error.partitions ?? []), ...(error.groups ?? [])].map(entry => entry.error)].filter(Boolean)
  return typeof error.code === 'number' ? error.code : wrapped.map(errorCodeOf).find(code => code !== undefined)
}

async function admin(bootstrap) {
  await withAdmin(bootstrap, client =>
    runAdmin(
      {
        'create-topic': async ({ topic, partitions, configs }) => {
          const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
          const created = await client.createTopics({
            topics: [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }],
            timeout: TIMEOUT_MS
          })
          // kafkajs answers false, instead of throwing, when the topic exists.
          return created ? {} : { ok: false, error: 36, message: 'createTopics answered false' }
        },
        'delete-topic': ({ topic }) => client.deleteTopics({ topics: [topic], timeout: TIMEOUT_MS }),
        'describe-topic': async ({ topic }) => {
          const { topics } = await client.fetchTopicMetadata({ topics: [topic] })
          return { partitions: topics[0].partitions.length }
        },
        'create-partitions': async ({ topic, partitions }) => {
          await client.createPartitions({ topicPartitions: [{ topic, count: partitions }], timeout: TIMEOUT_MS })
        },
        'describe-configs': configsOf(client),
        'alter-config': async ({ topic, name, value }) => {
          await client.alterConfigs({
            validateOnly: false,
            resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] }]
          })
        },
        'list-offsets': async ({ topic, partition }) => {
          const offsets = await client.fetchTopicOffsets(topic)
          const { low, high } = offsets.find(entry => entry.partition === partition)
          return { earliest: Number(low), latest: Number(high) }
        },
        'delete-records': async ({ topic, partition, offset }) => {
          // kafkajs looks for the leader before it loads the topic's metadata; this loads it.
          await client.fetchTopicOffsets(topic)
          await client.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
        },
        'list-groups': async () => ({ groups: (await client.listGroups()).groups.map(({ groupId }) => groupId) }),
        'describe-group': async ({ group }) => {
          const [{ state, members }] = (await client.describeGroups([group])).groups
          return { state, members: members.length }
        },
        'group-offsets': async ({ group, topic }) => {
          const [{ partitions }] = await client.fetchOffsets({ groupId: group, topics: [topic] })
          return { offsets: Object.fromEntries(partitions.filter(({ offset }) => offset !== '-1').map(({ partition, offset }) => [partition, Number(offset)])) }
        },
        'delete-group': async ({ group }) => {
          await client.deleteGroups([group])
        }
      },
      errorCodeOf
    ))
}

await main({ 'create-topic': createTopic, produce, consume, group, transform, admin })
