using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Classic;

/// <summary>A protocol that a member of a classic group supports, with metadata for the leader.</summary>
/// <param name="Name">The protocol; for consumers the name of an assignor.</param>
/// <param name="Metadata">The member's metadata; for consumers the subscription.</param>
public readonly record struct ClassicProtocol(string Name, byte[] Metadata);

/// <summary>A request that waits for its answer.</summary>
/// <param name="ReplyTo">The request.</param>
/// <param name="ApiVersion">Its version.</param>
public readonly record struct AwaitingReply<TReply>(ReplyTo<TReply> ReplyTo, short ApiVersion);

/// <summary>
/// A member of a <see cref="ClassicGroup"/>, which owns it. Lives until it leaves; the successor of a static member replaces it.
/// </summary>
public sealed class ClassicGroupMember
{
    /// <summary>The id that the coordinator assigned.</summary>
    public required string MemberId { get; init; }

    /// <summary>The instance id from the client's configuration; null for a dynamic member.</summary>
    public required string? GroupInstanceId { get; init; }

    /// <summary>Its client's id.</summary>
    public required string ClientId { get; init; }

    /// <summary>The address of its client, in Java's form.</summary>
    public required string ClientHost { get; init; }

    /// <summary>How long it may take to join again, in milliseconds.</summary>
    public required int RebalanceTimeoutMs { get; set; }

    /// <summary>How long it may go without a heartbeat, in milliseconds.</summary>
    public required int SessionTimeoutMs { get; set; }

    /// <summary>The protocols that it supports, in order of preference. The group counts them, so change them through the group.</summary>
    public required IReadOnlyList<ClassicProtocol> Protocols { get; set; }

    /// <summary>The last assignment by a leader; empty before the first.</summary>
    public byte[] Assignment { get; set; } = [];

    /// <summary>Its JoinGroup that waits for an answer. The group counts them, so change it through the group.</summary>
    public AwaitingReply<JoinGroupResponse>? AwaitingJoin { get; set; }

    /// <summary>Its SyncGroup that waits for an answer.</summary>
    public AwaitingReply<SyncGroupResponse>? AwaitingSync { get; set; }

    /// <summary>Whether its first join is unanswered. It cannot send heartbeats yet, so its session ends even while it waits.</summary>
    public bool IsNew { get; set; }

    /// <summary>Whether it has an instance id.</summary>
    public bool IsStatic => GroupInstanceId is not null;

    /// <summary>Whether a missing heartbeat is no sign of failure, because the member waits for the coordinator.</summary>
    public bool IsExcusedFromHeartbeats => !IsNew && (AwaitingJoin is not null || AwaitingSync is not null);

    /// <summary>Its metadata for a protocol.</summary>
    public byte[] Metadata(string protocolName)
    {
        foreach (var protocol in Protocols)
        {
            if (protocol.Name == protocolName)
                return protocol.Metadata;
        }

        throw new InvariantViolationException($"member {MemberId} does not offer protocol {protocolName}, but all members must");
    }

    /// <summary>Whether it supports exactly these protocols, in this order, with this metadata.</summary>
    public bool Offers(IReadOnlyList<ClassicProtocol> protocols)
    {
        if (protocols.Count != Protocols.Count)
            return false;
        for (var i = 0; i < protocols.Count; i++)
        {
            if (protocols[i].Name != Protocols[i].Name || !protocols[i].Metadata.AsSpan().SequenceEqual(Protocols[i].Metadata))
                return false;
        }

        return true;
    }

    /// <summary>The protocols of a request.</summary>
    public static ClassicProtocol[] ProtocolsOf(JoinGroupRequest request) =>
        [.. request.Protocols.Select(protocol => new ClassicProtocol(protocol.Name, protocol.Metadata))];
}
