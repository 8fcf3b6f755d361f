namespace Ottla.Protocol.Batches;

/// <summary>How much of each record a <see cref="RecordReader"/> hands out.</summary>
public enum RecordReadMode
{
    /// <summary>Everything.</summary>
    Full,

    /// <summary>
    /// Sizes, offset and timestamp only. Keys, values and headers are walked over without being held, so that memory does not grow
    /// with what compressed data expands to: for validation and for the search by timestamp.
    /// </summary>
    SkipContents,
}
