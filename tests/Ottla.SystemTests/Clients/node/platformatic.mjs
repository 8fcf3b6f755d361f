// The driver for @platformatic/kafka. See ../../README.md for the contract.
// Its stream needs a group, so `consume` goes below the stream: to the consumer's own fetch, whose batches the stream reads.
import {
  Admin, ConfigResourceTypes, Consumer, IncrementalAlterConfigOperationTypes, ListOffsetTimestamps, MessagesStreamFallbackModes, MessagesStreamModes,
  Producer, UserError
} from '@platformatic/kafka'
import { authorities, decode, endOfInput, login, main, printEvent, printRecord, readLines, runAdmin } from './contract.mjs'

const FETCH_WAIT_MS_MAX = 100
const PARTITION_BYTES_MAX = 1048576
const UNKNOWN_TOPIC_OR_PARTITION = 3

const security = {
  ...(authorities && { tls: { ca: authorities } }),
  ...(login && {
    sasl: login.token ? { mechanism: login.mechanism, token: login.token }
      : { mechanism: login.mechanism, username: login.username, password: login.password }
  })
}

const options = bootstrap => ({ clientId: 'platformatic-driver', bootstrapBrokers: [bootstrap], autocreateTopics: false, strict: true, ...security })

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
  const { id, partitions } = await withAdmin(bootstrap, async admin => {
    const { id, partitions } = (await admin.metadata({ topics: [topic] })).topics.get(topic)
    const unread = []
    for (const [partition, { leader }] of partitions.entries()) {
      const { earliest, latest } = await offsetsOf(admin, topic, partition)
      unread.push({ partition, leader, next: BigInt(earliest), end: BigInt(latest) })
    }
    return { id, partitions: unread }
  })
  // The group is only a name: nothing here asks for its coordinator.
  const consumer = new Consumer({ ...options(bootstrap), groupId: 'unused', maxWaitTime: FETCH_WAIT_MS_MAX })
  consumer.topics.trackAll(topic)
  let unread
  while ((unread = partitions.filter(({ next, end }) => next < end)).length > 0) {
    const node = unread[0].leader
    await readFrom(consumer, id, node, unread.filter(({ leader }) => leader === node))
  }
  await consumer.close()
}

async function readFrom(consumer, topicId, node, unread) {
  const { responses } = await consumer.fetch({
    node,
    topics: [{
      topicId,
      partitions: unread.map(({ partition, next }) => (
        { partition, currentLeaderEpoch: -1, fetchOffset: next, lastFetchedEpoch: -1, partitionMaxBytes: PARTITION_BYTES_MAX }))
    }]
  })
  for (const { partitionIndex, records: batches } of responses.flatMap(response => response.partitions)) {
    const position = unread.find(({ partition }) => partition === partitionIndex)
    for (const { firstOffset, firstTimestamp, lastOffsetDelta, records } of batches ?? []) {
      for (const { offsetDelta, timestampDelta, key, value, headers } of records) {
        const offset = firstOffset + BigInt(offsetDelta)
        if (offset >= position.next) {
          printRecord({ partition: partitionIndex, offset, timestamp: firstTimestamp + timestampDelta, key, value, headers })
        }
      }
      position.next = firstOffset + BigInt(lastOffsetDelta) + 1n
    }
  }
}

async function group(bootstrap, groupId, topic, instance) {
  const consumer = new Consumer({
    ...options(bootstrap),
    groupId,
    groupProtocol: process.env.PLATFORMATIC_GROUP_PROTOCOL ?? 'classic',
    groupInstanceId: instance === '-' ? undefined : instance,
    sessionTimeout: 6000,
    heartbeatInterval: 500,
    maxWaitTime: FETCH_WAIT_MS_MAX,
    // Not endless: the client lists offsets with a fenced leader epoch again and again, and asks for the new one when its retries are spent.
    retries: 50,
    retryDelay: 200
  })
  // Saves it that: after a broker's restart the leader epochs that it remembers are fenced.
  const forgetMetadata = () => consumer.clearMetadata()
  consumer.on('client:broker:disconnect', forgetMetadata)
  // Under KIP-848 no event says that the assignment changed, but it changes with heartbeats only.
  let known
  const tellAssignment = () => {
    const partitions = (consumer.assignments ?? []).filter(entry => entry.topic === topic).flatMap(entry => entry.partitions).sort((a, b) => a - b)
    if (consumer.assignments && String(partitions) !== known) {
      known = String(partitions)
      printEvent({ event: 'assigned', partitions })
    }
  }
  consumer.on('consumer:group:join', tellAssignment)
  consumer.on('consumer:heartbeat:end', tellAssignment)
  const stream = await consumer.consume({
    topics: [topic], autocommit: false, mode: MessagesStreamModes.COMMITTED, fallbackMode: MessagesStreamFallbackModes.EARLIEST
  })
  const reading = (async () => {
    for await (const message of stream) {
      printEvent({ event: 'record', partition: message.partition, offset: Number(message.offset) })
      try {
        await message.commit()
        printEvent({ event: 'committed', partition: message.partition, offset: Number(message.offset) + 1 })
      } catch (error) {
        // A rebalance or a restart refuses it; whoever reads the record next commits it.
        process.stderr.write(`commit: ${error.message}\n`)
      }
    }
  })()
  await Promise.race([endOfInput(), reading])
  // The stream ends with a connection of its own, and without metadata the client goes without leaving the group.
  consumer.off('client:broker:disconnect', forgetMetadata)
  await stream.close()
  await consumer.close()
}

async function offsetsOf(admin, topic, partition) {
  const at = async timestamp => {
    const [listed] = await admin.listOffsets({ topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }] })
    return Number(listed.partitions[0].offset)
  }
  return { earliest: await at(ListOffsetTimestamps.EARLIEST), latest: await at(ListOffsetTimestamps.LATEST) }
}

// The broker's error code, however deep the client wrapped it. It keeps no code where Metadata answers that a topic is unknown: only its own words.
function errorCodeOf(error) {
  if (error instanceof UserError && error.message.startsWith('Unknown topic ')) {
    return UNKNOWN_TOPIC_OR_PARTITION
  }
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
          await client.createPartitions({ topics: [{ name: topic, count: partitions }] })
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
        },
        'list-groups': async () => ({ groups: [...(await client.listGroups()).keys()] }),
        'describe-group': async ({ group }) => {
          const described = (await client.describeGroups({ groups: [group] })).get(group)
          return { state: described.state, members: described.members.size }
        },
        'group-offsets': async ({ group, topic }) => {
          const [{ topics }] = await client.listConsumerGroupOffsets({ groups: [group] })
          const partitions = topics.filter(({ name }) => name === topic).flatMap(entry => entry.partitions)
          return { offsets: Object.fromEntries(partitions.map(({ partitionIndex, committedOffset }) => [partitionIndex, Number(committedOffset)])) }
        },
        'delete-group': async ({ group }) => {
          await client.deleteGroups({ groups: [group] })
        }
      },
      errorCodeOf
    ))
}

await main({ 'create-topic': createTopic, produce, consume, group, admin })
