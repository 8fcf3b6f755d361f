using System.Buffers;
using System.Text.Json;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>
/// The file <c>.kafka_cleanshutdown</c>, which a clean shutdown leaves. It has the broker epoch (KIP-966), which tells the controller that
/// the broker lost no records.
/// </summary>
public static class CleanShutdownFile
{
    /// <summary>The file's name in a log directory.</summary>
    public const string Name = ".kafka_cleanshutdown";

    private const int LengthMaxBytes = 4096;

    /// <summary>Whether the directory was shut down cleanly.</summary>
    public static bool Exists(IFileSystem fileSystem, string logDirectory) => fileSystem.FileExists(Path.Combine(logDirectory, Name));

    /// <summary>Reads the broker epoch; null when there is no file, or none in it.</summary>
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
    /// <param name="fileSystem">The disk.</param>
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

    /// <summary>Removes the marker. The next clean shutdown writes it again.</summary>
    public static void Delete(IFileSystem fileSystem, string logDirectory)
    {
        if (fileSystem.Delete(Path.Combine(logDirectory, Name)))
            fileSystem.FlushDirectory(logDirectory);
    }
}
