using System.Buffers;

namespace Ottla.Protocol;

/// <summary>The rules for topic names, and the names of internal topics.</summary>
public static class TopicNames
{
    public const string ClusterMetadata = "__cluster_metadata";
    public const string ConsumerOffsets = "__consumer_offsets";
    public const string TransactionState = "__transaction_state";
    public const string ShareGroupState = "__share_group_state";

    /// <summary>The longest name, in characters: directory names add a partition and a suffix.</summary>
    public const int LengthMax = 249;

    private static readonly SearchValues<char> Legal =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    /// <summary>Whether responses mark the topic as internal.</summary>
    public static bool IsInternal(string name) => name is ConsumerOffsets or TransactionState or ShareGroupState;

    /// <summary>Why a topic name is invalid; null when it is valid.</summary>
    public static string? ReasonInvalid(string name)
    {
        var reason = name switch
        {
            "" => "the empty string is not allowed",
            "." => "'.' is not allowed",
            ".." => "'..' is not allowed",
            { Length: > LengthMax } => $"the length of '{name}' is longer than the max allowed length {LengthMax}",
            _ when name.AsSpan().ContainsAnyExcept(Legal) =>
                $"'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
            _ => null,
        };
        return reason is null ? null : "Topic name is invalid: " + reason;
    }

    /// <summary>Whether the name may collide with another one in metrics, which write '.' as '_'.</summary>
    public static bool HasCollisionChars(string name) => name.AsSpan().ContainsAny('.', '_');

    /// <summary>The form of the name in metrics.</summary>
    public static string UnifyCollisionChars(string name) => name.Replace('.', '_');
}
