using System.Text;
using Ottla.Protocol;

namespace Ottla.Cli.Admin;

/// <summary>A cluster did not answer, or refused; the message is for the user.</summary>
internal sealed class AdminException : Exception
{
    /// <summary>The cluster did not answer.</summary>
    public AdminException(string message)
        : base(message)
    {
    }

    /// <summary>The cluster answered with an error.</summary>
    public AdminException(ErrorCode error, string? message)
        : base(string.IsNullOrEmpty(message) ? NameOf(error) : $"{NameOf(error)}: {message}")
    {
        Error = error;
        ClusterMessage = string.IsNullOrEmpty(message) ? NameOf(error) : message;
    }

    /// <summary>The cluster's error; none when it did not answer.</summary>
    public ErrorCode Error { get; }

    /// <summary>The cluster's message about the error, or the error's name.</summary>
    public string ClusterMessage { get; } = "";

    /// <summary>A code's name in Kafka: <c>VOTER_NOT_FOUND</c>.</summary>
    public static string NameOf(ErrorCode error)
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
