using System.Buffers;
using System.Text.Json;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>
/// The file <c>.kafka_cleanshutdown</c>: the last process closed its logs in order. It carries the broker epoch (KIP-966), by
/// which the controller knows that nothing was lost.
/// </summary>
public static class CleanShutdownFile
{
    /// <summary>The file's name in a log directory.</summary>
    public const string Name = ".kafka_cleanshutdown";

    private const int LengthMaxBytes = 4096;

    /// <summary>Whether the directory was closed in order.</summary>
    public static bool Exists(IFileSystem fileSystem, string logDirectory) => fileSystem.FileExists(Path.Combine(logDirectory, Name));

    /// <summary>Reads the broker epoch; null when there is no file or it does not say.</summary>
    public static long? ReadBrokerEpoch(IFileSystem fileSystem, string logDirectory)
    {
        var path = Path.Combine(logDirectory, Name);
        if (!fileSystem.FileExists(path))
            return null;
        try
        {
            using var document = JsonDocument.Parse(fileSystem.ReadAllBytes(path, LengthMaxBytes));
            return document.RootElement.ValueKind == JsonValueKind.Object
                && document.RootElement.TryGetProperty("brokerEpoch", out var epoch) && epoch.TryGetInt64(out var value)
                ? value
                : null;
        }
        catch (JsonException)
        {
            return null; // Kafka before 3.7 wrote an empty file: a clean shutdown of an unknown epoch
        }
    }

    /// <summary>Writes the marker.</summary>
    /// <param name="fileSystem">Where.</param>
    /// <param name="logDirectory">The log directory.</param>
    /// <param name="brokerEpoch">The epoch of the registration under which the broker ran, or -1.</param>
    public static void Write(IFileSystem fileSystem, string logDirectory, long brokerEpoch)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteNumber("version", 0);
            json.WriteNumber("brokerEpoch", brokerEpoch);
            json.WriteEndObject();
        }

        fileSystem.ReplaceFile(Path.Combine(logDirectory, Name), buffer.WrittenSpan);
    }

    /// <summary>Removes the marker: from now on only an orderly close writes it again.</summary>
    public static void Delete(IFileSystem fileSystem, string logDirectory)
    {
        if (fileSystem.Delete(Path.Combine(logDirectory, Name)))
            fileSystem.FlushDirectory(logDirectory);
    }
}
