using System.Globalization;
using System.Text;
using Ottla.Benchmarks.Load;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.Benchmarks.Churn;

/// <summary>Makes topics one after the other, each with a short life: filled, moved and deleted. Owned by one thread.</summary>
internal sealed class ChurnedTopics(string host, int port, string[] logDirectories, int seed) : IDisposable
{
    public const string NamePrefix = "churn-";

    private const int Partitions = 6;
    private const int SegmentBytes = 1024 * 1024;
    private const int BatchBytes = 128 * 1024;
    private const int Keys = 100;
    private const short AlterLogDirsVersion = 1;
    private const int TimeoutMs = 30_000;

    private readonly LoadConnection _connection = new(host, port);
    private readonly Prng _random = new((ulong)seed);
    private int _count;

    /// <summary>Lets one topic live and die.</summary>
    /// <returns>The records it was given.</returns>
    /// <exception cref="BenchException">A request was answered with an error, or records are missing.</exception>
    public long LiveOne()
    {
        var isCompacted = _count % 3 != 2;
        // Names come back: a topic must not meet what is left of its predecessor.
        var name = string.Create(CultureInfo.InvariantCulture, $"{NamePrefix}{seed}-{_count++ % 5}");
        Create(name, isCompacted);
        var records = 0L;
        var rounds = 4 + _random.NextInt(10);
        var moved = _random.NextInt(rounds);
        for (var round = 0; round < rounds; round++)
        {
            for (var partition = 0; partition < Partitions; partition++)
                records += Produce(name, partition);
            if (round == moved)
                Move(name);
        }

        var kept = EndOffsets(name);
        if (kept != records)
            throw new BenchException($"{name} was given {records} records and ends at {kept}.");
        Delete(name);
        return records;
    }

    public void Dispose() => _connection.Dispose();

    private void Create(string name, bool isCompacted)
    {
        var request = new CreateTopicsRequest
        {
            TimeoutMs = TimeoutMs,
            Topics =
            [
                new()
                {
                    Name = name,
                    NumPartitions = Partitions,
                    ReplicationFactor = 1,
                    Configs =
                    [
                        new() { Name = "segment.bytes", Value = SegmentBytes.ToString(CultureInfo.InvariantCulture) },
                        new() { Name = "cleanup.policy", Value = isCompacted ? "compact" : "delete" },
                        new() { Name = "min.cleanable.dirty.ratio", Value = "0.01" },
                        new() { Name = "retention.bytes", Value = isCompacted ? "-1"
                            : (2 * SegmentBytes).ToString(CultureInfo.InvariantCulture) },
                        new() { Name = "file.delete.delay.ms", Value = "200" },
                    ],
                },
            ],
        };
        var created = _connection.Ask<CreateTopicsRequest, CreateTopicsResponse>(request, TargetAdmin.CreateTopicsVersion).Topics[0];
        ThrowIfError("CreateTopics", created.ErrorCode);
    }

    private int Produce(string name, int partition)
    {
        using var builder = new RecordBatchBuilder(new RecordBatchOptions());
        var value = new byte[500];
        while (builder.UncompressedSizeInBytes < BatchBytes)
            builder.Append(0, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"key-{_random.NextInt(Keys)}")), value);
        _connection.Send(RequestFrame.Produce(name, partition, acks: -1, builder.Build()));
        ResponseReader.CheckProduce(_connection.Receive(correlationId: 0).Span);
        return builder.RecordCount;
    }

    /// <summary>Asks for half of the partitions to be moved; whether they arrive before the topic goes is chance.</summary>
    private void Move(string name)
    {
        var request = new AlterReplicaLogDirsRequest
        {
            Dirs = [.. logDirectories.Select((path, index) => new AlterReplicaLogDirsRequest.AlterReplicaLogDir
            {
                Path = path,
                Topics = [new() { Name = name,
                    Partitions = [.. Enumerable.Range(0, Partitions).Where(partition => partition % 4 == index)] }],
            })],
        };
        var response = _connection.Ask<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse>(request, AlterLogDirsVersion);
        foreach (var partition in response.Results.SelectMany(result => result.Partitions))
            ThrowIfError("AlterReplicaLogDirs", partition.ErrorCode);
    }

    private long EndOffsets(string name)
    {
        var request = new ListOffsetsRequest
        {
            ReplicaId = -1,
            Topics = [new() { Name = name, Partitions = [
                .. Enumerable.Range(0, Partitions)
                .Select(partition => new ListOffsetsRequest.ListOffsetsPartition { PartitionIndex = partition, Timestamp = -1 })] }],
        };
        var partitions = _connection.Ask<ListOffsetsRequest, ListOffsetsResponse>(request, TargetAdmin.ListOffsetsVersion).Topics[0]
            .Partitions;
        foreach (var partition in partitions)
            ThrowIfError("ListOffsets", partition.ErrorCode);
        return partitions.Sum(partition => partition.Offset);
    }

    private void Delete(string name)
    {
        var request = new DeleteTopicsRequest { TimeoutMs = TimeoutMs, TopicNames = [name] };
        ThrowIfError(
            "DeleteTopics", _connection.Ask<DeleteTopicsRequest, DeleteTopicsResponse>(request, TargetAdmin.DeleteTopicsVersion)
            .Responses[0].ErrorCode);
    }

    private static void ThrowIfError(string api, short error)
    {
        if (error != (short)ErrorCode.None)
            throw new BenchException($"{api} was answered with {(ErrorCode)error}.");
    }
}
