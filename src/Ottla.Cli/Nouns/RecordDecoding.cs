using Ottla.Client;
using Ottla.Storage.Inspection;

namespace Ottla.Cli.Nouns;

/// <summary>Which records of an internal topic are decoded.</summary>
/// <param name="Decoder">The kind of records.</param>
/// <param name="ShowsType">Whether records of a type are shown.</param>
internal sealed record RecordDecoding(RecordDecoder Decoder, Func<short, bool> ShowsType)
{
    private const short OffsetTypeMax = 1;

    /// <summary>The values of <c>--decode</c>.</summary>
    public static readonly string[] Names = ["offsets", "groups", "transactions", "share"];

    /// <summary>The decoding of a value of <c>--decode</c>.</summary>
    public static RecordDecoding Of(string name) => name switch
    {
        "offsets" => new RecordDecoding(RecordDecoder.Offsets, type => type <= OffsetTypeMax),
        "groups" => new RecordDecoding(RecordDecoder.Offsets, type => type > OffsetTypeMax),
        "transactions" => new RecordDecoding(RecordDecoder.Transactions, _ => true),
        _ => new RecordDecoding(RecordDecoder.Share, _ => true),
    };

    /// <summary>Whether a record is shown: it has a key of a type that is wanted.</summary>
    /// <exception cref="Ottla.Protocol.ProtocolException">Its key has no type.</exception>
    public bool Shows(in RawRecord record) => record.HasKey && ShowsType(RecordJson.TypeOf(record.Key.Span));
}
