using System.Buffers;

namespace Ottla.StateMachines.Controller;

/// <summary>What a topic may be called, and which topics are the brokers' own.</summary>
public static class TopicNames
{
    public const string ClusterMetadata = "__cluster_metadata";
    public const string ConsumerOffsets = "__consumer_offsets";
    public const string TransactionState = "__transaction_state";
    public const string ShareGroupState = "__share_group_state";

    /// <summary>The longest name, in characters: its directories need room for a partition and a suffix.</summary>
    public const int LengthMax = 249;

    private static readonly SearchValues<char> Legal =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    /// <summary>Whether clients are told that the topic is internal.</summary>
    public static bool IsInternal(string name) => name is ConsumerOffsets or TransactionState or ShareGroupState;

    /// <summary>Why a topic cannot have the name; null when it can.</summary>
    public static string? ReasonInvalid(string name)
    {
        var reason = name switch
        {
            "" => "the empty string is not allowed",
            "." => "'.' is not allowed",
            ".." => "'..' is not allowed",
            { Length: > LengthMax } => $"the length of '{name}' is longer than the max allowed length {LengthMax}",
            _ when name.AsSpan().ContainsAnyExcept(Legal) => $"'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'",
            _ => null,
        };
        return reason is null ? null : "Topic name is invalid: " + reason;
    }

    /// <summary>Whether metrics could take the name for another's: they write '.' as '_'.</summary>
    public static bool HasCollisionChars(string name) => name.AsSpan().ContainsAny('.', '_');

    /// <summary>What metrics make of the name.</summary>
    public static string UnifyCollisionChars(string name) => name.Replace('.', '_');
}
