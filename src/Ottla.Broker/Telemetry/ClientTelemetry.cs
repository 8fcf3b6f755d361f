using System.Globalization;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Telemetry;

namespace Ottla.Broker.Telemetry;

/// <summary>
/// Takes the metrics that clients push (KIP-714) and hands them on. Hosts a <see cref="TelemetryIntake"/> under a lock; any thread calls
/// it. A metadata publisher: subscriptions are configs of the cluster. Lives as long as the broker.
/// </summary>
internal sealed partial class ClientTelemetry(
    int nodeId, int bytesMax, IClientMetricsSink? sink, TimeProvider time, ILogger logger) : IMetadataPublisher
{
    private readonly Lock _lock = new();

    // Guarded by _lock.
    private readonly TelemetryIntake _intake = new(bytesMax);
    private long _taken;
    private long _refused;

    /// <inheritdoc/>
    public string Name => "client metrics";

    /// <summary>Whether clients are offered to push: somebody takes it.</summary>
    public bool IsOffered => sink is not null;

    /// <summary>The most bytes of a push.</summary>
    public int BytesMax => bytesMax;

    /// <summary>What has happened so far.</summary>
    public (int Instances, long Throttled, long UnknownSubscriptions, long Taken, long Refused) Usage
    {
        get
        {
            lock (_lock)
                return (_intake.InstanceCount, _intake.ThrottledCount, _intake.UnknownSubscriptionCount, _taken, _refused);
        }
    }

    /// <inheritdoc/>
    public void Publish(MetadataDelta delta)
    {
        if (ReferenceEquals(delta.Old.Configs, delta.New.Configs))
            return;
        var subscriptions = TelemetrySubscriptions.From(delta.New.Configs, (name, reason) => LogInvalid(logger, name, reason));
        lock (_lock)
            _intake.Change(subscriptions);
    }

    /// <summary>A client asks what to push.</summary>
    /// <returns>Its id, which is new if it had none, and what it is to push.</returns>
    /// <exception cref="ApiException">It asks too often.</exception>
    public (Uuid Instance, WantedMetrics Wanted) Subscribe(in RequestContext context, Uuid instance)
    {
        var now = Instant.Now(time);
        var id = instance == Uuid.Zero ? Uuid.NewRandom() : instance;
        lock (_lock)
        {
            Note(context.Connection, id);
            return (id, _intake.Subscribe(id, ClientOf(context), now));
        }
    }

    /// <summary>A client pushes.</summary>
    /// <param name="context">The request.</param>
    /// <param name="push">What is known of the push.</param>
    /// <param name="metrics">What it pushes, compressed.</param>
    /// <exception cref="ApiException">The push is refused.</exception>
    public void Push(in RequestContext context, in TelemetryPush push, ReadOnlyMemory<byte> metrics)
    {
        var client = ClientOf(context);
        lock (_lock)
        {
            if (!TelemetryIntake.IsReserved(push.Instance))
                Note(context.Connection, push.Instance);
            _intake.Push(push, client, Instant.Now(time));
        }

        if (metrics.IsEmpty || sink is null)
            return;
        try
        {
            var message = Expand((CompressionType)push.Compression, metrics);
            sink.Take(OtlpResources.WithLabels(message.Span, LabelsOf(context, push.Instance, client)));
            lock (_lock)
                _taken++;
        }
        catch (Exception e) when (e is InvalidDataException or CorruptRecordException)
        {
            LogUnreadable(logger, push.Instance, client.ClientId, e.Message);
            lock (_lock)
            {
                _refused++;
                _intake.Refuse(push.Instance, ErrorCode.InvalidRecord);
            }

            throw new ApiException(ErrorCode.InvalidRecord);
        }
    }

    /// <summary>Decompresses a push, up to the bound.</summary>
    private ReadOnlyMemory<byte> Expand(CompressionType compression, ReadOnlyMemory<byte> metrics)
    {
        if (compression == CompressionType.None)
            return metrics;
        var expanded = new byte[Math.Min(bytesMax, ExpandedSize.UpperBound(compression, metrics.Span)) + 1];
        var length = 0;
        using var decoder = CompressionCodecs.For(compression).OpenDecoder(metrics);
        while (decoder.Read(expanded.AsSpan(length)) is > 0 and var read)
        {
            length += read;
            if (length > bytesMax)
                throw new InvalidDataException($"more than {bytesMax} bytes after its decompression");
            if (length == expanded.Length)
                Array.Resize(ref expanded, (int)Math.Min(2L * expanded.Length, bytesMax + 1L)); // the lengths in it were wrong
        }

        return expanded.AsMemory(0, length);
    }

    /// <summary>
    /// Has a client forgotten when the connection over which it came first ends. A connection has one client at a time, so that nobody can
    /// drive out the others.
    /// </summary>
    private void Note(ConnectionInfo connection, Uuid instance)
    {
        if (_intake.Knows(instance))
            return;
        var isFirst = connection.TelemetryInstance == Uuid.Zero;
        if (!isFirst)
            _intake.Forget(connection.TelemetryInstance);
        connection.TelemetryInstance = instance;
        if (isFirst)
            connection.Closing.UnsafeRegister(_ => Forget(connection), null);
    }

    private void Forget(ConnectionInfo connection)
    {
        lock (_lock)
            _intake.Forget(connection.TelemetryInstance);
    }

    private static TelemetryClient ClientOf(in RequestContext context)
    {
        var connection = context.Connection;
        return new TelemetryClient(
            context.ClientId, connection.Software?.Name, connection.Software?.Version,
            connection.ClientAddress.ToString(),
            connection.ClientPort is 0 ? null : connection.ClientPort.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>The labels that KIP-714 has brokers add.</summary>
    private List<KeyValuePair<string, string>> LabelsOf(in RequestContext context, Uuid instance, TelemetryClient client)
    {
        var labels = new List<KeyValuePair<string, string>>();
        Add("client_instance_id", instance.ToString());
        Add("client_id", client.ClientId);
        Add("client_software_name", client.SoftwareName);
        Add("client_software_version", client.SoftwareVersion);
        Add("client_source_address", client.SourceAddress);
        Add("client_source_port", client.SourcePort);
        Add("principal", $"{context.Connection.Principal.Type}:{context.Connection.Principal.Name}");
        Add("broker_id", nodeId.ToString(CultureInfo.InvariantCulture));
        return labels;

        void Add(string key, string? value)
        {
            if (value is not null)
                labels.Add(KeyValuePair.Create(key, value));
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "The subscription {Name} of client metrics selects nobody: it cannot be read ({Reason})")]
    private static partial void LogInvalid(ILogger logger, string name, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "The metrics that client {Instance} ({ClientId}) pushed cannot be read: {Reason}")]
    private static partial void LogUnreadable(ILogger logger, Uuid instance, string? clientId, string reason);
}
