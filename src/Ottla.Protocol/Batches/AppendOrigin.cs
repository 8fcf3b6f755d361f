namespace Ottla.Protocol.Batches;

/// <summary>Where records to append come from; it decides how much is checked.</summary>
public enum AppendOrigin
{
    /// <summary>Fetched from the leader, which has checked them: frames and checksums only.</summary>
    Replication,

    /// <summary>Written by this broker's group or transaction coordinator.</summary>
    Coordinator,

    /// <summary>Sent by a client: everything is checked.</summary>
    Client,

    /// <summary>Written by this node as leader of the metadata quorum.</summary>
    RaftLeader,
}
