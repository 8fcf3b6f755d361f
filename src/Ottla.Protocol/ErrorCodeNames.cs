using System.Text;

namespace Ottla.Protocol;

/// <summary>The names of error codes in Kafka.</summary>
public static class ErrorCodeNames
{
    /// <summary>A code's name in Kafka: <c>NOT_COORDINATOR</c>.</summary>
    public static string ToKafkaName(this ErrorCode error)
    {
        var name = error.ToString();
        var text = new StringBuilder(name.Length + 8);
        foreach (var letter in name)
        {
            if (char.IsUpper(letter) && text.Length > 0)
                text.Append('_');
            text.Append(char.ToUpperInvariant(letter));
        }

        return text.ToString();
    }
}
