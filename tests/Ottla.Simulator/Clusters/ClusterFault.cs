namespace Ottla.Simulator.Clusters;

/// <summary>What can go wrong in a cluster.</summary>
internal enum ClusterFault
{
    /// <summary>A node is stopped in order.</summary>
    Stop,

    /// <summary>A process is killed, or a host loses power, at any time.</summary>
    Kill,

    /// <summary>The same, soon after something else happened.</summary>
    KillSoon,

    /// <summary>The same, before one of the next file operations.</summary>
    KillAtFileOperation,

    /// <summary>A process stands still for a while.</summary>
    Pause,

    /// <summary>A host is cut off from all others.</summary>
    CutOff,

    /// <summary>Two hosts are cut from each other, one way or both.</summary>
    Cut,

    /// <summary>The connections of two hosts to one kind of listener are cut, one way or both.</summary>
    CutListener,

    /// <summary>The way between two hosts becomes slow.</summary>
    SlowLink,

    /// <summary>A connection breaks.</summary>
    Reset,

    /// <summary>The disk of a log directory fails until the next start.</summary>
    FailDirectory,

    /// <summary>A disk is full for a while.</summary>
    FillDisk,

    /// <summary>All nodes are stopped and started, one after another.</summary>
    RollingRestart,
}
