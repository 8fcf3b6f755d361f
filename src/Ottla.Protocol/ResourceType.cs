namespace Ottla.Protocol;

/// <summary>A kind of resource that access control entries are about, by its code on the wire and in metadata records.</summary>
/// <remarks>The codes 0 and 1 (unknown, any) are for filters.</remarks>
public enum ResourceType : sbyte
{
    /// <summary>A topic, by its name.</summary>
    Topic = 2,

    /// <summary>A group, by its id.</summary>
    Group = 3,

    /// <summary>The cluster as a whole.</summary>
    Cluster = 4,

    /// <summary>A transactional id.</summary>
    TransactionalId = 5,

    /// <summary>A delegation token, by its id.</summary>
    DelegationToken = 6,

    /// <summary>A user, by the principal's name.</summary>
    User = 7,
}
