namespace Ottla.Protocol.Batches;

/// <summary>What a control record says: the int16 that follows the version in its key.</summary>
public enum ControlRecordType : short
{
    /// <summary>Ends a transaction; its records are to be ignored.</summary>
    Abort = 0,

    /// <summary>Ends a transaction; its records count.</summary>
    Commit = 1,

    /// <summary>A Raft leader's first record in its epoch.</summary>
    LeaderChange = 2,

    /// <summary>Opens a metadata snapshot.</summary>
    SnapshotHeader = 3,

    /// <summary>Closes a metadata snapshot.</summary>
    SnapshotFooter = 4,

    /// <summary>The Raft protocol's finalized version (KIP-853).</summary>
    KRaftVersion = 5,

    /// <summary>The voter set (KIP-853).</summary>
    KRaftVoters = 6,
}
