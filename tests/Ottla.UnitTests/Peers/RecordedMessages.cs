using System.IO.Compression;
using System.Text.Json;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.UnitTests.Peers;

/// <summary>A request or a response that passed between nodes of Apache Kafka 4.4.0.</summary>
/// <param name="File">The recording.</param>
/// <param name="AtMs">When, in milliseconds from its start.</param>
/// <param name="IsRequest">Whether it is a request.</param>
/// <param name="Api">The API.</param>
/// <param name="Version">The version.</param>
/// <param name="Source">Who sent the request.</param>
/// <param name="Destination">Who answered it.</param>
/// <param name="Frame">The bytes, without their length.</param>
internal sealed record RecordedMessage(
    string File, double AtMs, bool IsRequest, ApiKey Api, short Version, string Source, string Destination, byte[] Frame)
{
    public override string ToString() =>
        $"{File} at {AtMs} ms: {(IsRequest ? "request" : "response")} {Api} v{Version} {Source}>{Destination}";

    /// <summary>The header of a request.</summary>
    public RequestHeader Header() => ReadHeader(out _);

    /// <summary>The bytes behind the header.</summary>
    public byte[] Body()
    {
        if (IsRequest)
        {
            ReadHeader(out var position);
            return Frame[position..];
        }

        var hasTags = Version >= Ottla.Simulator.Clients.ClientFrames.SchemaOf(Api).LowestFlexibleVersion && Api != ApiKey.ApiVersions;
        if (hasTags)
            Assert.Equal(0, Frame[4]); // Kafka tags nothing in its headers
        return Frame[(hasTags ? 5 : 4)..];
    }

    public TMessage Read<TMessage>()
        where TMessage : IMessage<TMessage>
    {
        var reader = new WireReader(Body());
        var message = TMessage.Read(ref reader, Version);
        Assert.True(reader.Remaining == 0, ToString());
        return message;
    }

    private RequestHeader ReadHeader(out int position)
    {
        var reader = new WireReader(Frame);
        var isFlexible = Version >= Ottla.Simulator.Clients.ClientFrames.SchemaOf(Api).LowestFlexibleVersion;
        var header = RequestHeader.Read(ref reader, isFlexible ? (short)2 : (short)1);
        position = reader.Position;
        return header;
    }
}

/// <summary>Excerpts of recordings of a cluster of Apache Kafka 4.4.0 (tests/golden/cluster).</summary>
internal static class RecordedMessages
{
    /// <summary>Names a directory with whole recordings, to be checked beside the excerpts.</summary>
    public const string DirectoryVariable = "OTTLA_CLUSTER_RECORDINGS";

    /// <summary>The frames of a file that the repository has.</summary>
    public static IEnumerable<RecordedMessage> Excerpt(string name) => Read(GoldenData.Path(Path.Combine("cluster", name)));

    /// <summary>The raft messages of the excerpts and of the whole recordings, if there are any.</summary>
    public static IEnumerable<RecordedMessage> Raft()
    {
        var whole = Environment.GetEnvironmentVariable(DirectoryVariable) is { Length: > 0 } directory
            ? Directory.EnumerateFiles(directory, "*.jsonl.gz").Order(StringComparer.Ordinal).SelectMany(Read)
            : [];
        return Excerpt("raft-messages.jsonl.gz").Concat(whole).Where(IsRaft);
    }

    private static bool IsRaft(RecordedMessage message) => message.Api is ApiKey.Vote or ApiKey.BeginQuorumEpoch or ApiKey.EndQuorumEpoch
        or ApiKey.Fetch or ApiKey.FetchSnapshot or ApiKey.AddRaftVoter or ApiKey.RemoveRaftVoter or ApiKey.UpdateRaftVoter;

    private static IEnumerable<RecordedMessage> Read(string path)
    {
        using var lines = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress));
        var file = Path.GetFileName(path).Split('.')[0];
        while (lines.ReadLine() is { } line)
        {
            using var json = JsonDocument.Parse(line);
            var root = json.RootElement;
            if (!root.TryGetProperty("hex", out var hex) || root.TryGetProperty("hexCut", out _) || root.TryGetProperty("unmatched", out _)
                || !Enum.TryParse<ApiKey>(root.GetProperty("api").GetString(), out var api)
                || (root.TryGetProperty("listener", out var listener) && listener.GetString() != "CONTROLLER"))
                continue;
            yield return new RecordedMessage(
                root.TryGetProperty("file", out var name) ? name.GetString()! : file,
                root.GetProperty("t").GetDouble(),
                root.GetProperty("kind").GetString() == "request",
                api,
                root.GetProperty("v").GetInt16(),
                root.GetProperty("src").GetString()!,
                root.GetProperty("dst").GetString()!,
                Convert.FromHexString(hex.GetString()!));
        }
    }
}
