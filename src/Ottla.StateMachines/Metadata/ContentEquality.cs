using System.Collections.Immutable;

namespace Ottla.StateMachines.Metadata;

/// <summary>Compares the immutable collections of images by content.</summary>
internal static class ContentEquality
{
    public static bool Items<T>(ImmutableArray<T> left, ImmutableArray<T> right)
        where T : IEquatable<T> =>
        left.AsSpan().SequenceEqual(right.AsSpan());

    public static bool Entries<TKey, TValue>(IImmutableDictionary<TKey, TValue> left, IImmutableDictionary<TKey, TValue> right)
        where TKey : notnull
    {
        if (ReferenceEquals(left, right))
            return true;
        if (left.Count != right.Count)
            return false;
        foreach (var (key, value) in left)
        {
            if (!right.TryGetValue(key, out var other) || !EqualityComparer<TValue>.Default.Equals(value, other))
                return false;
        }

        return true;
    }
}
