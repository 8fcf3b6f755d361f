using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;

namespace Ottla.StateMachines.Groups.Classic;

/// <summary>A protocol that a member of a classic group offers, and its metadata for the leader.</summary>
/// <param name="Name">The protocol: of consumers an assignor.</param>
/// <param name="Metadata">The member's metadata: of consumers the subscription.</param>
public readonly record struct ClassicProtocol(string Name, byte[] Metadata);

/// <summary>A request that waits for its answer.</summary>
/// <param name="ReplyTo">Whom to answer.</param>
/// <param name="ApiVersion">In which version.</param>
public readonly record struct AwaitingReply(ReplyTo ReplyTo, short ApiVersion);

/// <summary>A member of a <see cref="ClassicGroup"/>, which owns it. Lives from its join to its end; a static member's successor takes its place.</summary>
public sealed class ClassicGroupMember
{
    /// <summary>What the coordinator called it.</summary>
    public required string MemberId { get; init; }

    /// <summary>What its operator called it; null for a dynamic member.</summary>
    public required string? GroupInstanceId { get; init; }

    /// <summary>Its client's id.</summary>
    public required string ClientId { get; init; }

    /// <summary>Its client's address, as Java shows it.</summary>
    public required string ClientHost { get; init; }

    /// <summary>How long it may take to join again, in milliseconds.</summary>
    public required int RebalanceTimeoutMs { get; set; }

    /// <summary>How long it may be silent, in milliseconds.</summary>
    public required int SessionTimeoutMs { get; set; }

    /// <summary>The protocols it offers, the one it likes best first. The group counts them: change them there.</summary>
    public required IReadOnlyList<ClassicProtocol> Protocols { get; set; }

    /// <summary>What a leader last assigned to it; empty before.</summary>
    public byte[] Assignment { get; set; } = [];

    /// <summary>Its JoinGroup that waits. The group counts them: change it there.</summary>
    public AwaitingReply? AwaitingJoin { get; set; }

    /// <summary>Its SyncGroup that waits.</summary>
    public AwaitingReply? AwaitingSync { get; set; }

    /// <summary>Whether it has had no answer to its first join: it cannot send heartbeats, so its session ends even while it waits.</summary>
    public bool IsNew { get; set; }

    /// <summary>Whether its operator named it.</summary>
    public bool IsStatic => GroupInstanceId is not null;

    /// <summary>Whether silence is no sign of failure: it waits for us.</summary>
    public bool IsExcusedFromHeartbeats => !IsNew && (AwaitingJoin is not null || AwaitingSync is not null);

    /// <summary>Its metadata for a protocol.</summary>
    public byte[] Metadata(string protocolName)
    {
        foreach (var protocol in Protocols)
        {
            if (protocol.Name == protocolName)
                return protocol.Metadata;
        }

        throw new InvariantViolationException($"member {MemberId} was to offer protocol {protocolName}, which all members offer");
    }

    /// <summary>Whether it offers exactly these protocols, in this order, with this metadata.</summary>
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
