using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.Protocol.Metadata;

/// <summary>Formats and parses the <c>quorum-state</c> file: one line of JSON, like Kafka's. Pure; the Raft host owns the file.</summary>
/// <remarks>Version 0 is for <c>kraft.version</c> 0 (static voters), version 1 for <c>kraft.version</c> 1 (KIP-853).</remarks>
public static class QuorumStateFile
{
    /// <summary>The file's name in the directory of the metadata log.</summary>
    public const string FileName = "quorum-state";

    /// <summary>The largest file that is read; version 0 lists the voters.</summary>
    public const int LengthMaxBytes = 1024 * 1024;

    private const short VersionMax = 1;
    private const string DataVersion = "data_version";

    /// <summary>Formats the line, without a line feed, because Kafka writes none.</summary>
    /// <exception cref="UnsupportedVersionException"><paramref name="version"/> is neither 0 nor 1.</exception>
    public static byte[] Format(QuorumStateData state, short version)
    {
        UnsupportedVersionException.ThrowIfOutside(0, VersionMax, version, FileName);
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            if (version == 0)
                json.WriteString("clusterId", state.ClusterId);
            json.WriteNumber("leaderId", state.LeaderId);
            json.WriteNumber("leaderEpoch", state.LeaderEpoch);
            json.WriteNumber("votedId", state.VotedId);
            if (version == 0)
                WriteVersion0(json, state);
            else
                json.WriteString("votedDirectoryId", state.VotedDirectoryId.ToString());
            json.WriteNumber(DataVersion, version);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Parses the first line. Fields that the version does not have are ignored.</summary>
    /// <exception cref="ProtocolException">The file is corrupt, or has a newer version.</exception>
    public static QuorumStateData Parse(ReadOnlySpan<byte> text, out short version)
    {
        var lineEnd = text.IndexOf((byte)'\n');
        var line = lineEnd < 0 ? text : text[..lineEnd];
        try
        {
            var json = new Utf8JsonReader(line);
            var state = ReadObject(ref json, out var dataVersion);
            if (dataVersion is not { } known)
                throw new MalformedMessageException($"{FileName} is corrupt: the field {DataVersion} is missing.");
            UnsupportedVersionException.ThrowIfOutside(0, VersionMax, known, FileName);
            version = known;
            return state;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            throw new MalformedMessageException($"{FileName} is corrupt: {exception.Message}");
        }
    }

    private static void WriteVersion0(Utf8JsonWriter json, QuorumStateData state)
    {
        json.WriteNumber("appliedOffset", state.AppliedOffset);
        if (state.CurrentVoters is null)
        {
            json.WriteNull("currentVoters");
            return;
        }

        json.WriteStartArray("currentVoters");
        foreach (var voter in state.CurrentVoters)
        {
            json.WriteStartObject();
            json.WriteNumber("voterId", voter.VoterId);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static QuorumStateData ReadObject(ref Utf8JsonReader json, out short? dataVersion)
    {
        dataVersion = null;
        var state = new QuorumStateData();
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
            throw new MalformedMessageException($"{FileName} is corrupt: it is not a JSON object.");
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var name = json.GetString();
            json.Read();
            switch (name)
            {
                case "clusterId": state.ClusterId = json.GetString() ?? ""; break;
                case "leaderId": state.LeaderId = json.GetInt32(); break;
                case "leaderEpoch": state.LeaderEpoch = json.GetInt32(); break;
                case "votedId": state.VotedId = json.GetInt32(); break;
                case "votedDirectoryId": state.VotedDirectoryId = Uuid.Parse(json.GetString() ?? ""); break;
                case "appliedOffset": state.AppliedOffset = json.GetInt64(); break;
                case "currentVoters": state.CurrentVoters = ReadVoters(ref json); break;
                case DataVersion: dataVersion = json.GetInt16(); break;
                default: json.Skip(); break;
            }
        }

        return state;
    }

    private static QuorumStateData.Voter[]? ReadVoters(ref Utf8JsonReader json)
    {
        if (json.TokenType == JsonTokenType.Null)
            return null;
        if (json.TokenType != JsonTokenType.StartArray)
            throw new MalformedMessageException($"{FileName} is corrupt: currentVoters is not an array.");
        var voters = new List<QuorumStateData.Voter>();
        while (json.Read() && json.TokenType == JsonTokenType.StartObject)
        {
            var voter = new QuorumStateData.Voter();
            while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
            {
                var isId = json.ValueTextEquals("voterId");
                json.Read();
                if (isId)
                    voter.VoterId = json.GetInt32();
                else
                    json.Skip();
            }

            voters.Add(voter);
        }

        return [.. voters];
    }
}
