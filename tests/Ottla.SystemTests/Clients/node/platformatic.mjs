// The driver for @platformatic/kafka. See ../../README.md for the contract.
// Its stream needs a group, so `consume` joins a group of its own.
import { randomUUID } from 'node:crypto'
import {
  Admin, ConfigResourceTypes, Consumer, IncrementalAlterConfigOperationTypes, ListOffsetTimestamps, MessagesStreamModes, Producer
} from '@platformatic/kafka'
import { decode, main, printRecord, readLines, runAdmin } from './contract.mjs'

const options = bootstrap => ({ clientId: 'platformatic-driver', bootstrapBrokers: [bootstrap], autocreateTopics: false, strict: true })

async function withAdmin(bootstrap, action) {
  const admin = new Admin(options(bootstrap))
  try {
    return await action(admin)
  } finally {
    await admin.close()
  }
}

async function createTopic(bootstrap, topic, partitions) {
  await withAdmin(bootstrap, admin => admin.createTopics({ topics: [topic], partitions: Number(partitions), replicas: 1 }))
}

async function produce(bootstrap, topic, codec) {
  const messages = (await readLines()).map(record => ({
    topic,
    partition: record.partition,
    timestamp: BigInt(record.timestamp),
    key: decode(record.key),
    value: decode(record.value),
    // Buffers are compared by identity, so a name may come twice.
    headers: new Map(record.headers.map(([name, value]) => [decode(name), decode(value)]))
  }))
  const producer = new Producer({ ...options(bootstrap), idempotent: true })
  await producer.send({ messages, compression: codec })
  await producer.close()
}

async function consume(bootstrap, topic) {
  const ends = await withAdmin(bootstrap, async admin => {
    const partitions = (await admin.metadata({ topics: [topic] })).topics.get(topic).partitionsCount
    const ends = new Map()
    for (let partition = 0; partition < partitions; partition++) {
      const { earliest, latest } = await offsetsOf(admin, topic, partition)
      if (earliest !== latest) {
        ends.set(partition, BigInt(latest))
      }
    }
    return ends
  })
  const consumer = new Consumer({ ...options(bootstrap), groupId: `platformatic-driver-${randomUUID()}`, maxWaitTime: 100 })
  const stream = await consumer.consume({ topics: [topic], mode: MessagesStreamModes.EARLIEST, autocommit: false })
  for await (const { partition, offset, timestamp, key, value, headers } of stream) {
    printRecord({ partition, offset, timestamp, key, value, headers: [...headers] })
    if (offset === ends.get(partition) - 1n) {
      ends.delete(partition)
    }
    if (ends.size === 0) {
      break
    }
  }
  await consumer.close(true)
}

async function offsetsOf(admin, topic, partition) {
  const at = async timestamp => {
    const [listed] = await admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }] })
    return Number(listed.partitions[0].offset)
  }
  return { earliest: await at(ListOffsetTimestamps.EARLIEST), latest: await at(ListOffsetTimestamps.LATEST) }
}

// The broker's error code, however deep the client wrapped it.
function errorCodeOf(error) {
  return error.apiCode ?? [...(error.errors ?? []), ...(error.cause ? [error.cause] : [])].map(errorCodeOf).find(code => code !== undefined)
}

async function admin(bootstrap) {
  await withAdmin(bootstrap, client =>
    runAdmin(
      {
        'create-topic': async ({ topic, partitions, configs }) => {
          const entries = Object.entries(configs).map(([name, value]) => ({ name, value }))
          await client.createTopics({ topics: [topic], partitions, replicas: 1, configs: entries })
        },
        'delete-topic': ({ topic }) => client.deleteTopics({ topics: [topic] }),
        'describe-topic': async ({ topic }) => {
          const { topics } = await client.metadata({ topics: [topic], forceUpdate: true })
          return { partitions: topics.get(topic).partitionsCount }
        },
        'create-partitions': async ({ topic, partitions }) => {
          await client.createPartitions({ topics: [{ name: topic, count: partitions, assignments: null }] })
        },
        'describe-configs': async ({ topic }) => {
          const [{ configs }] = await client.describeConfigs({ resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic }] })
          return { configs: Object.fromEntries(configs.map(({ name, value }) => [name, value])) }
        },
        'alter-config': async ({ topic, name, value }) => {
          const configs = [{ name, value, configOperation: IncrementalAlterConfigOperationTypes.SET }]
          await client.incrementalAlterConfigs({ resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs }] })
        },
        'list-offsets': ({ topic, partition }) => offsetsOf(client, topic, partition),
        'delete-records': async ({ topic, partition, offset }) => {
          await client.deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset: BigInt(offset) }] }] })
        }
      },
      errorCodeOf
    ))
}

await main({ 'create-topic': createTopic, produce, consume, admin })
