using Ottla.Client;

namespace Ottla.Cli.KafkaTools.Security;

/// <summary>Reads principals as Kafka writes them: <c>User:alice</c>.</summary>
internal static class PrincipalText
{
    /// <summary>Reads a principal.</summary>
    /// <exception cref="JavaException">It has no type.</exception>
    public static Principal Parse(string text)
    {
        var trimmed = text.Trim();
        return trimmed.Split(':', 2) is [{ Length: > 0 } type, var name] ? new Principal(name, type)
            : throw JavaException.IllegalArgument($"expected a string in format principalType:principalName but got {trimmed}");
    }
}
