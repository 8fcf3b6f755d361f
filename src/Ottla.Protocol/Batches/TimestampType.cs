namespace Ottla.Protocol.Batches;

/// <summary>The source of a batch's timestamps: bit 3 of its attributes (KIP-32).</summary>
public enum TimestampType
{
    /// <summary>The producer set the timestamp of each record.</summary>
    CreateTime = 0,

    /// <summary>The broker set one timestamp for all records when it appended them: the batch's max timestamp.</summary>
    LogAppendTime = 1,
}
