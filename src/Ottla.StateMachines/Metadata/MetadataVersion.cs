using System.Collections.Immutable;

namespace Ottla.StateMachines.Metadata;

/// <summary>
/// A level of the feature <c>metadata.version</c> (KIP-778). It determines which records the metadata log may have, and in which versions.
/// </summary>
/// <param name="Level">The feature level, as in <c>FeatureLevelRecord</c>.</param>
public readonly record struct MetadataVersion(short Level) : IComparable<MetadataVersion>
{
    /// <summary>The name of the feature.</summary>
    public const string FeatureName = "metadata.version";

    public static readonly MetadataVersion V3_3_IV3 = new(7);
    public static readonly MetadataVersion V3_4_IV0 = new(8);
    public static readonly MetadataVersion V3_5_IV0 = new(9);
    public static readonly MetadataVersion V3_5_IV1 = new(10);
    public static readonly MetadataVersion V3_5_IV2 = new(11);
    public static readonly MetadataVersion V3_6_IV0 = new(12);
    public static readonly MetadataVersion V3_6_IV1 = new(13);
    public static readonly MetadataVersion V3_6_IV2 = new(14);
    public static readonly MetadataVersion V3_7_IV0 = new(15);
    public static readonly MetadataVersion V3_7_IV2 = new(17);
    public static readonly MetadataVersion V3_7_IV4 = new(19);
    public static readonly MetadataVersion V3_9_IV0 = new(21);
    public static readonly MetadataVersion V4_0_IV0 = new(22);
    public static readonly MetadataVersion V4_0_IV1 = new(23);
    public static readonly MetadataVersion V4_0_IV2 = new(24);
    public static readonly MetadataVersion V4_0_IV3 = new(25);
    public static readonly MetadataVersion V4_1_IV0 = new(26);
    public static readonly MetadataVersion V4_1_IV1 = new(27);
    public static readonly MetadataVersion V4_2_IV0 = new(28);
    public static readonly MetadataVersion V4_2_IV1 = new(29);
    public static readonly MetadataVersion V4_3_IV0 = new(30);
    public static readonly MetadataVersion V4_4_IV0 = new(31);
    public static readonly MetadataVersion V4_4_IV1 = new(32);
    public static readonly MetadataVersion V4_4_IV2 = new(33);

    /// <summary>The oldest version that this node supports.</summary>
    public static readonly MetadataVersion Minimum = V3_3_IV3;

    /// <summary>The newest version, and the default of a new cluster.</summary>
    public static readonly MetadataVersion Latest = V4_4_IV2;

    private static readonly ImmutableArray<(string Release, string Name, bool ChangesRecords)> Table =
    [
        ("3.3", "3.3-IV3", true), ("3.4", "3.4-IV0", true), ("3.5", "3.5-IV0", false), ("3.5", "3.5-IV1", false),
        ("3.5", "3.5-IV2", true), ("3.6", "3.6-IV0", false), ("3.6", "3.6-IV1", true), ("3.6", "3.6-IV2", true),
        ("3.7", "3.7-IV0", true), ("3.7", "3.7-IV1", false), ("3.7", "3.7-IV2", true), ("3.7", "3.7-IV3", false),
        ("3.7", "3.7-IV4", false), ("3.8", "3.8-IV0", false), ("3.9", "3.9-IV0", false), ("4.0", "4.0-IV0", false),
        ("4.0", "4.0-IV1", true), ("4.0", "4.0-IV2", false), ("4.0", "4.0-IV3", false), ("4.1", "4.1-IV0", false),
        ("4.1", "4.1-IV1", false), ("4.2", "4.2-IV0", false), ("4.2", "4.2-IV1", false), ("4.3", "4.3-IV0", true),
        ("4.4", "4.4-IV0", false), ("4.4", "4.4-IV1", true), ("4.4", "4.4-IV2", true),
    ];

    /// <summary>Whether this node supports the level.</summary>
    public bool IsKnown => Level >= Minimum.Level && Level <= Latest.Level;

    /// <summary>The version's name, such as "4.4-IV2".</summary>
    public string Name => IsKnown ? Table[Level - Minimum.Level].Name : $"unknown ({Level})";

    /// <summary>SCRAM credentials may be in the log.</summary>
    public bool SupportsScram => this >= V3_5_IV2;

    /// <summary>Before 3.6 the leader epoch grows when the ISR shrinks (KAFKA-15021).</summary>
    public bool BumpsLeaderEpochOnIsrShrink => this < V3_6_IV0;

    /// <summary>Begin, End and AbortTransactionRecord may be in the log (KIP-868).</summary>
    public bool SupportsTransactions => this >= V3_6_IV1;

    /// <summary>Delegation tokens may be in the log.</summary>
    public bool SupportsDelegationTokens => this >= V3_6_IV2;

    /// <summary>Controllers register (KIP-919).</summary>
    public bool SupportsControllerRegistration => this >= V3_7_IV0;

    /// <summary>Replicas have log directories (KIP-858).</summary>
    public bool SupportsDirectoryAssignment => this >= V3_7_IV2;

    /// <summary>Partitions have eligible leader replicas (KIP-966).</summary>
    public bool SupportsElr => this >= V4_0_IV1;

    /// <summary>Log directories can be cordoned (KIP-1066).</summary>
    public bool SupportsCordonedLogDirs => this >= V4_3_IV0;

    /// <summary>The hosts of access control entries can be networks (KIP-1276).</summary>
    public bool SupportsNetworksInAcls => this >= V4_4_IV1;

    /// <summary>Controllers can be unregistered (KIP-1312).</summary>
    public bool SupportsControllerUnregistration => this >= V4_4_IV2;

    /// <summary>The version in which RegisterBrokerRecord is written.</summary>
    public short RegisterBrokerRecordVersion =>
        SupportsCordonedLogDirs ? (short)4 : SupportsDirectoryAssignment ? (short)3 : this >= V3_4_IV0 ? (short)2 : (short)1;

    /// <summary>The version in which PartitionRecord and PartitionChangeRecord are written.</summary>
    public short PartitionRecordVersion => SupportsElr ? (short)2 : SupportsDirectoryAssignment ? (short)1 : (short)0;

    /// <summary>The version in which followers send Fetch: they do not ask the leader which ones it has.</summary>
    public short ReplicaFetchVersion => this >= V4_1_IV1 ? (short)18
        : this >= V3_9_IV0 ? (short)17
        : this >= V3_7_IV4 ? (short)16
        : this >= V3_5_IV1 ? (short)15
        : this >= V3_5_IV0 ? (short)14
        : (short)13;

    /// <summary>The version in which followers send ListOffsets.</summary>
    public short ReplicaListOffsetsVersion => this >= V4_2_IV1 ? (short)11
        : this >= V4_0_IV3 ? (short)10
        : this >= V3_9_IV0 ? (short)9
        : this >= V3_5_IV0 ? (short)8
        : (short)7;

    /// <summary>
    /// Finds a version by its name ("4.4-IV2") or by a release ("4.4" or "4.4.1", which mean the release's newest version).
    /// </summary>
    public static bool TryParse(string text, out MetadataVersion version)
    {
        ArgumentNullException.ThrowIfNull(text);
        var dots = text.Split('.');
        var key = dots.Length <= 2 ? text : string.Join('.', dots[0], dots[1]);
        for (var i = Table.Length - 1; i >= 0; i--)
        {
            if (Table[i].Name == key || Table[i].Release == key)
            {
                version = new MetadataVersion((short)(Minimum.Level + i));
                return true;
            }
        }

        version = default;
        return false;
    }

    /// <summary>All names, oldest first, for error messages.</summary>
    public static string AllNames => string.Join(", ", Table.Select(row => row.Name));

    /// <summary>
    /// Whether records differ between two versions. If so, the cluster cannot be downgraded from the higher to the lower.
    /// </summary>
    public static bool RecordsDiffer(MetadataVersion one, MetadataVersion other)
    {
        var (low, high) = one < other ? (one, other) : (other, one);
        for (var level = low.Level + 1; level <= high.Level; level++)
        {
            if (Table[level - Minimum.Level].ChangesRecords)
                return true;
        }

        return false;
    }

    /// <inheritdoc/>
    public int CompareTo(MetadataVersion other) => Level.CompareTo(other.Level);

    /// <inheritdoc/>
    public override string ToString() => Name;

    public static bool operator <(MetadataVersion left, MetadataVersion right) => left.Level < right.Level;

    public static bool operator >(MetadataVersion left, MetadataVersion right) => left.Level > right.Level;

    public static bool operator <=(MetadataVersion left, MetadataVersion right) => left.Level <= right.Level;

    public static bool operator >=(MetadataVersion left, MetadataVersion right) => left.Level >= right.Level;
}
