namespace Ottla.Protocol.Batches;

/// <summary>The type of a control record: the int16 after the version in its key.</summary>
public enum ControlRecordType : short
{
    /// <summary>Aborts a transaction: its records are ignored.</summary>
    Abort = 0,

    /// <summary>Commits a transaction: its records take effect.</summary>
    Commit = 1,

    /// <summary>A Raft leader's first record in its epoch.</summary>
    LeaderChange = 2,

    /// <summary>Begins a metadata snapshot.</summary>
    SnapshotHeader = 3,

    /// <summary>Ends a metadata snapshot.</summary>
    SnapshotFooter = 4,

    /// <summary>The Raft protocol's finalized version (KIP-853).</summary>
    KRaftVersion = 5,

    /// <summary>The voter set (KIP-853).</summary>
    KRaftVoters = 6,
}
