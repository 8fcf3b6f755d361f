namespace Ottla.Protocol.Batches;

/// <summary>Who set a batch's timestamps: bit 3 of its attributes (KIP-32).</summary>
public enum TimestampType
{
    /// <summary>Each record carries the time the producer gave it.</summary>
    CreateTime = 0,

    /// <summary>The broker set one time for all records when it appended them: the batch's max timestamp.</summary>
    LogAppendTime = 1,
}
