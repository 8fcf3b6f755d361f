namespace Ottla.Protocol;

/// <summary>An operation that access control entries allow or deny, by its code on the wire and in metadata records.</summary>
/// <remarks>The codes 0 to 2 (unknown, any, all) are for filters and entries. No request needs them.</remarks>
public enum AclOperation : sbyte
{
    /// <summary>Read a topic, or take part in a group.</summary>
    Read = 3,

    /// <summary>Write to a topic, or use a transactional id.</summary>
    Write = 4,

    /// <summary>Create a topic.</summary>
    Create = 5,

    /// <summary>Delete a topic, its records, or a group.</summary>
    Delete = 6,

    /// <summary>Change the cluster, or a topic's partitions.</summary>
    Alter = 7,

    /// <summary>See that something exists, and its state.</summary>
    Describe = 8,

    /// <summary>What brokers and controllers ask of each other.</summary>
    ClusterAction = 9,

    /// <summary>See configs.</summary>
    DescribeConfigs = 10,

    /// <summary>Change configs.</summary>
    AlterConfigs = 11,

    /// <summary>Get a producer id without a transactional id.</summary>
    IdempotentWrite = 12,

    /// <summary>Create delegation tokens for a user.</summary>
    CreateTokens = 13,

    /// <summary>See the delegation tokens of a user.</summary>
    DescribeTokens = 14,

    /// <summary>Prepare a transaction without a time limit (KIP-939).</summary>
    TwoPhaseCommit = 15,
}
