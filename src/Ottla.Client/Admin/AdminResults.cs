using System.Collections.ObjectModel;
using Ottla.Protocol;

namespace Ottla.Client;

/// <summary>What became of one item of an admin call: done, or an error.</summary>
public class AdminResult
{
    /// <summary>An item that is done.</summary>
    internal AdminResult() => Message = null;

    /// <summary>An item that failed.</summary>
    internal AdminResult(ErrorCode error, string? message) => (Error, Message) = (error, message);

    /// <summary>An item that was not asked for, because its node could not be.</summary>
    internal AdminResult(KafkaException failure) => (Error, Message, IsTlsFailure) =
        (failure.ErrorCode, failure.Detail, failure is SslAuthenticationException);

    /// <summary>The error; <see cref="ErrorCode.None"/> when the item is done.</summary>
    public ErrorCode Error { get; }

    /// <summary>What the cluster, or the client, says about the error; null when it says nothing more.</summary>
    public string? Message { get; }

    /// <summary>Whether the item is done.</summary>
    public bool IsSuccess => Error == ErrorCode.None;

    /// <summary>Does nothing when the item is done.</summary>
    /// <exception cref="KafkaException">It failed; <see cref="KafkaTimeoutException"/> when the time was over.</exception>
    public void ThrowIfFailed()
    {
        if (!IsSuccess)
            throw ToException(Message);
    }

    /// <summary>Whether <see cref="ThrowIfFailed"/> throws <see cref="SslAuthenticationException"/>.</summary>
    internal bool IsTlsFailure { get; }

    /// <summary>The exception of an item that failed.</summary>
    internal KafkaException ToException(string? message) => Error == ErrorCode.RequestTimedOut
        ? new KafkaTimeoutException(message ?? "The cluster did not do it in time")
        : IsTlsFailure ? new SslAuthenticationException(message!) : new KafkaException(Error, message);
}

/// <summary>What one item of an admin call was answered with: a value, or an error.</summary>
/// <typeparam name="T">The type of the value.</typeparam>
public sealed class AdminResult<T> : AdminResult
{
    private readonly T _value;

    /// <summary>An item with a value.</summary>
    internal AdminResult(T value) => _value = value;

    /// <summary>An item that failed.</summary>
    internal AdminResult(ErrorCode error, string? message)
        : base(error, message) => _value = default!;

    /// <inheritdoc/>
    internal AdminResult(KafkaException failure)
        : base(failure) => _value = default!;

    /// <summary>The value.</summary>
    /// <exception cref="KafkaException">The item failed.</exception>
    public T Value
    {
        get
        {
            ThrowIfFailed();
            return _value;
        }
    }
}

/// <summary>What became of each item of an admin call.</summary>
/// <typeparam name="TKey">What names an item.</typeparam>
public sealed class AdminResults<TKey> : ReadOnlyDictionary<TKey, AdminResult>
    where TKey : notnull
{
    /// <summary>Takes results over.</summary>
    internal AdminResults(IDictionary<TKey, AdminResult> results)
        : base(results)
    {
    }

    /// <summary>Does nothing when every item is done.</summary>
    /// <exception cref="KafkaException">
    /// At least one failed: the code is that of the first one, and the message names it and the number of the others.
    /// </exception>
    public void ThrowIfFailed() => AdminFailures.ThrowIfAny(this);
}

/// <summary>What each item of an admin call was answered with.</summary>
/// <typeparam name="TKey">What names an item.</typeparam>
/// <typeparam name="TValue">The type of the values.</typeparam>
public sealed class AdminResults<TKey, TValue> : ReadOnlyDictionary<TKey, AdminResult<TValue>>
    where TKey : notnull
{
    /// <summary>Takes results over.</summary>
    internal AdminResults(IDictionary<TKey, AdminResult<TValue>> results)
        : base(results)
    {
    }

    /// <inheritdoc cref="AdminResults{TKey}.ThrowIfFailed"/>
    public void ThrowIfFailed() => AdminFailures.ThrowIfAny(this);

    /// <summary>The values of all items.</summary>
    /// <inheritdoc cref="AdminResults{TKey}.ThrowIfFailed" path="/exception"/>
    public IReadOnlyDictionary<TKey, TValue> GetValues()
    {
        ThrowIfFailed();
        return this.ToDictionary(each => each.Key, each => each.Value.Value);
    }
}

/// <summary>A list that every broker has a part of.</summary>
/// <typeparam name="T">The type of what is listed.</typeparam>
public sealed class ClusterListing<T>
{
    /// <summary>Puts the parts together.</summary>
    internal ClusterListing(IReadOnlyDictionary<int, AdminResult<IReadOnlyList<T>>> parts)
    {
        Items = [.. parts.OrderBy(part => part.Key).Where(part => part.Value.IsSuccess).SelectMany(part => part.Value.Value)];
        Failures = parts.Where(part => !part.Value.IsSuccess).ToDictionary(part => part.Key, AdminResult (part) => part.Value);
    }

    /// <summary>What the brokers listed that answered.</summary>
    public IReadOnlyList<T> Items { get; }

    /// <summary>The brokers whose part is missing, by id, with their errors.</summary>
    public IReadOnlyDictionary<int, AdminResult> Failures { get; }

    /// <summary>Does nothing when the list is complete.</summary>
    /// <exception cref="KafkaException">The part of a broker is missing.</exception>
    public void ThrowIfFailed() => AdminFailures.ThrowIfAny(Failures);
}

/// <summary>Makes one exception of the failed items of a call.</summary>
internal static class AdminFailures
{
    /// <summary>Throws if an item failed.</summary>
    public static void ThrowIfAny<TKey, TResult>(IReadOnlyDictionary<TKey, TResult> results)
        where TResult : AdminResult
    {
        var failed = results.Where(each => !each.Value.IsSuccess).ToList();
        if (failed.Count == 0)
            return;
        var (key, first) = failed[0];
        var others = failed.Count == 1 ? "" : $" (and {failed.Count - 1} more of {results.Count} failed)";
        throw first.ToException($"{key}: {first.Message ?? "failed"}{others}");
    }
}
