using System.Collections.Concurrent;
using System.Net;
using Ottla.Broker.Metadata;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Quotas;

namespace Ottla.Broker.Server;

/// <summary>
/// The client quotas of the metadata, and what clients have used of them on this node. One for each node; any thread uses it.
/// </summary>
/// <remarks>
/// Without quotas nothing is looked up and nothing is kept. A connection keeps the quotas of its principal and client id until either or
/// the metadata changes. What is used is forgotten when it counts no more, so that clients which call themselves by ever new ids fill no
/// memory.
/// </remarks>
/// <param name="samples"><c>quota.window.num</c>.</param>
/// <param name="sampleMs"><c>quota.window.size.seconds</c>, in milliseconds.</param>
/// <param name="mutationSamples"><c>controller.quota.window.num</c>.</param>
/// <param name="mutationSampleMs"><c>controller.quota.window.size.seconds</c>, in milliseconds.</param>
/// <param name="time">The clock.</param>
public sealed class ClientQuotas(int samples, long sampleMs, int mutationSamples, long mutationSampleMs, TimeProvider time)
    : IMetadataPublisher
{
    /// <summary>With more users of quotas than this, those that count no more are looked for when one is added.</summary>
    private const int UsesBeforeSweep = 1_000;

    private readonly ConcurrentDictionary<(QuotaKind Kind, QuotaShare Share), QuotaUse> _uses = new();
    private readonly ConcurrentDictionary<IPAddress, QuotaUse> _addresses = new();
    private readonly long _startedAt = time.GetTimestamp();
    private volatile QuotaTables _tables = QuotaTables.Empty;
    private int _sweepAt = UsesBeforeSweep;
    private int _sweepAddressesAt = UsesBeforeSweep;

    /// <inheritdoc/>
    public string Name => "client quotas";

    /// <summary>How many users of quotas are kept.</summary>
    internal int UseCount => _uses.Count;

    /// <summary>Whether the bytes or the time of requests may have a quota.</summary>
    internal bool AreOnRequests => _tables.AreOnRequests;

    /// <inheritdoc/>
    public void Publish(MetadataDelta delta)
    {
        ArgumentNullException.ThrowIfNull(delta);
        if (!ReferenceEquals(_tables.Image, delta.New.ClientQuotas))
            _tables = new QuotaTables(delta.New.ClientQuotas);
    }

    /// <summary>Counts what a client has used.</summary>
    /// <returns>How long it is to be held back, in milliseconds; 0 for not at all.</returns>
    internal int Record(in RequestContext context, QuotaKind kind, double value) =>
        BoundOf(context, kind) is { } bound ? (int)bound.Use.Record(value, bound.Limit, NowMs()) : 0;

    /// <summary>Takes back what a client was to get and does not.</summary>
    internal void TakeBack(in RequestContext context, QuotaKind kind, double value) => BoundOf(context, kind)?.Use.TakeBack(value, NowMs());

    /// <summary>The most bytes that a fetch may return: what may pass in the whole samples of the window.</summary>
    internal int FetchBytesMax(in RequestContext context)
    {
        if (!_tables.Has(QuotaKind.Fetch) || BoundOf(context, QuotaKind.Fetch) is not { } bound)
            return int.MaxValue;
        return (int)Math.Clamp(bound.Limit * (samples - 1) * sampleMs / 1000, 1, int.MaxValue);
    }

    /// <summary>The quota of partitions that a client creates and deletes; null for none.</summary>
    /// <param name="context">The client's request.</param>
    /// <param name="isStrict">Whether its version knows that it may be refused. Otherwise it is held back only.</param>
    internal MutationQuota? MutationsOf(in RequestContext context, bool isStrict) =>
        _tables.Has(QuotaKind.ControllerMutation) && BoundOf(context, QuotaKind.ControllerMutation) is { } bound
            ? new MutationQuota(bound.Use, bound.Limit, isStrict, NowMs)
            : null;

    /// <summary>Counts a new connection of an address.</summary>
    /// <returns>How long the connection is kept waiting before it is closed, in milliseconds; 0 when it is served.</returns>
    internal long RecordConnection(IPAddress address)
    {
        var tables = _tables;
        if (!tables.HasOfAddresses || tables.FindOfAddress(TextOf(address)) is not { } limit)
            return 0;
        ForgetAbove(ref _sweepAddressesAt, _addresses);
        var use = _addresses.GetOrAdd(address, _ => new QuotaUse(QuotaKind.Request, samples, sampleMs));
        var waitMs = use.Record(1, limit, NowMs());
        if (waitMs > 0)
            use.TakeBack(1, NowMs()); // it is not served
        return waitMs;
    }

    private static string TextOf(IPAddress address) => (address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address).ToString();

    private Bound? BoundOf(in RequestContext context, QuotaKind kind)
    {
        var connection = context.Connection;
        var clientId = context.ClientId ?? "";
        var tables = _tables;
        if (connection.Quotas is { } known && ReferenceEquals(known.Tables, tables)
            && ReferenceEquals(known.Principal, connection.Principal) && known.ClientId == clientId
            && known[kind] is not { Use.IsForgotten: true })
            return known[kind];
        var user = connection.Principal.Name;
        connection.Quotas = known = new ConnectionQuotas(
            tables, connection.Principal, clientId, Find(QuotaKind.Produce), Find(QuotaKind.Fetch), Find(QuotaKind.Request),
            Find(QuotaKind.ControllerMutation));
        return known[kind];

        Bound? Find(QuotaKind each) => tables.Find(each, user, clientId) is { } found
            ? new Bound(UseOf(each, found.Share), found.Limit)
            : null;
    }

    private QuotaUse UseOf(QuotaKind kind, QuotaShare share)
    {
        if (_uses.TryGetValue((kind, share), out var known))
            return known;
        ForgetAbove(ref _sweepAt, _uses);
        return _uses.GetOrAdd((kind, share), static (key, quotas) => quotas.NewUse(key.Kind), this);
    }

    private QuotaUse NewUse(QuotaKind kind) => kind == QuotaKind.ControllerMutation
        ? new QuotaUse(kind, mutationSamples, mutationSampleMs)
        : new QuotaUse(kind, samples, sampleMs);

    /// <summary>Removes what counts no more, when there are as many uses as a limit says.</summary>
    private void ForgetAbove<TKey>(ref int limit, ConcurrentDictionary<TKey, QuotaUse> uses)
        where TKey : notnull
    {
        if (uses.Count < Volatile.Read(ref limit))
            return;
        var now = NowMs();
        foreach (var (key, use) in uses)
        {
            if (use.TryForget(now))
                uses.TryRemove(key, out _);
        }

        Volatile.Write(ref limit, Math.Max(UsesBeforeSweep, 2 * uses.Count)); // so that a flood of ids does not sweep each time
    }

    private long NowMs() => (long)time.GetElapsedTime(_startedAt).TotalMilliseconds;

    /// <summary>A quota of a connection.</summary>
    internal sealed record Bound(QuotaUse Use, double Limit);

    /// <summary>The quotas of a connection's requests, as they were last looked up.</summary>
    internal sealed record ConnectionQuotas(
        QuotaTables Tables, ClientPrincipal Principal, string ClientId, Bound? Produce, Bound? Fetch, Bound? Request, Bound? Mutation)
    {
        public Bound? this[QuotaKind kind] => kind switch
        {
            QuotaKind.Produce => Produce,
            QuotaKind.Fetch => Fetch,
            QuotaKind.Request => Request,
            _ => Mutation,
        };
    }
}

/// <summary>The partitions that one request creates and deletes, under its client's quota (KIP-599). Lives for one request.</summary>
internal sealed class MutationQuota(QuotaUse use, double limit, bool isStrict, Func<long> nowMs)
{
    /// <summary>How long the client is to be held back, in milliseconds.</summary>
    public int ThrottleTimeMs { get; private set; }

    /// <summary>Takes permits for partitions; false when the request must not create or delete them.</summary>
    public bool TryTake(int partitions)
    {
        var isTaken = use.TryTake(partitions, limit, nowMs(), isStrict, out var waitMs);
        ThrottleTimeMs = Math.Max(ThrottleTimeMs, (int)waitMs);
        return isTaken;
    }
}
