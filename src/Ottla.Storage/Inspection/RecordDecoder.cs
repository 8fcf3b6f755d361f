namespace Ottla.Storage.Inspection;

/// <summary>How to decode the records of a log.</summary>
public enum RecordDecoder
{
    /// <summary>Bytes of clients.</summary>
    None,

    /// <summary>Records of <c>__cluster_metadata</c>.</summary>
    Metadata,

    /// <summary>Records of <c>__consumer_offsets</c>.</summary>
    Offsets,

    /// <summary>Records of <c>__transaction_state</c>.</summary>
    Transactions,

    /// <summary>Records of <c>__share_group_state</c>.</summary>
    Share,
}
