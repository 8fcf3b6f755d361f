namespace Ottla.Protocol.Batches;

/// <summary>The source of records to append. It determines which checks are made.</summary>
public enum AppendOrigin
{
    /// <summary>Fetched from the leader, which has checked them: only frames and checksums are checked.</summary>
    Replication,

    /// <summary>Written by this broker's group or transaction coordinator.</summary>
    Coordinator,

    /// <summary>Sent by a client: everything is checked.</summary>
    Client,

    /// <summary>Written by this node as leader of the metadata quorum.</summary>
    RaftLeader,
}
