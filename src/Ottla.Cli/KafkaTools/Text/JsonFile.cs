using System.Text.Json;

namespace Ottla.Cli.KafkaTools.Text;

/// <summary>Reads the files that Kafka's tools take.</summary>
internal static class JsonFile
{
    /// <summary>Reads a file.</summary>
    /// <exception cref="JavaException">It cannot be read.</exception>
    public static string ReadText(string path)
    {
        try
        {
            using var reader = new FileInfo(path).OpenText();
            return reader.ReadToEnd();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new JavaException("java.io.IOException", $"Unable to read file {path}");
        }
    }

    /// <summary>The text of a JSON string with its quotes, escaped where JSON demands it.</summary>
    public static string Quote(string text) =>
        $"\"{JsonEncodedText.Encode(text, System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";
}
