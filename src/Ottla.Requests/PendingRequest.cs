using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Requests;

/// <summary>
/// A request of a channel from the call to its answer. Owned by the channel; its fields are guarded by the channel's lock.
/// </summary>
internal abstract class PendingRequest(ApiKey key, short versionMax, long startedAt, TimeSpan timeout)
{
    public ApiKey Key => key;

    /// <summary>The newest version that the caller wants.</summary>
    public short VersionMax => versionMax;

    /// <summary>How long it may take.</summary>
    public TimeSpan Timeout => timeout;

    /// <summary>When its time began, as a timestamp of the clock; begins anew when a peer that is alive owes a late answer.</summary>
    public long StartedAt { get; set; } = startedAt;

    /// <summary>The bytes that its connection had received when it was sent, or when its time began anew.</summary>
    public long ReceivedBefore { get; set; }

    /// <summary>When it was sent, as a timestamp of the clock.</summary>
    public long SentAt { get; set; }

    /// <summary>The version it is sent in.</summary>
    public short Version { get; set; }

    /// <summary>Whether bytes of it may have left.</summary>
    public bool WasSent { get; set; }

    /// <summary>Whether its caller has an outcome. What was sent keeps its place in flight until it is answered.</summary>
    public abstract bool IsOver { get; }

    /// <summary>Writes header and body.</summary>
    /// <exception cref="ProtocolException">The request does not fit the version.</exception>
    public abstract void Encode(FrameBuffer frame, int correlationId, string? clientId);

    /// <summary>Whether the peer does not answer it, so that it is over once it was sent.</summary>
    public abstract bool IsOneWay { get; }

    /// <summary>Completes a call that is not answered.</summary>
    public abstract void CompleteUnanswered();

    /// <summary>Whether the caller takes the memory of the answer over, and still waits for it.</summary>
    public abstract bool WantsFrame { get; }

    /// <summary>Takes over the memory of the answer, before <see cref="Complete"/>.</summary>
    /// <returns>The memory.</returns>
    public abstract Memory<byte> KeepFrame(PooledBuffer frame);

    /// <summary>Decodes the answer, all of it, and completes the call.</summary>
    /// <exception cref="ProtocolException">The frame is not the answer. The call is not completed.</exception>
    public abstract void Complete(Memory<byte> frame, int position);

    /// <summary>Ends the call without an answer.</summary>
    public abstract void Fail(RequestFailedException failure);

    /// <summary>Ends the call with what its caller has thrown instead of making the request.</summary>
    public abstract void FailUnmade(Exception failure);

    /// <summary>Reads past the tagged fields of a response header.</summary>
    internal static void SkipTaggedFields(ref WireReader reader)
    {
        var lastTag = -1L;
        for (var count = reader.ReadTagCount(); count > 0; count--)
        {
            var tag = reader.ReadTag(ref lastTag, out var sizeBytes);
            reader.ReadRawTaggedField(tag, sizeBytes);
        }
    }
}

/// <inheritdoc/>
internal sealed class PendingRequest<TRequest, TResponse>(
    Func<short, TRequest> makeRequest, short versionMax, long startedAt, TimeSpan timeout, bool keepsFrame = false,
    bool isOneWay = false)
    : PendingRequest(TRequest.ApiKey, versionMax, startedAt, timeout)
    where TRequest : IRequestMessage<TRequest>
    where TResponse : IResponseMessage<TResponse>
{
    private PooledBuffer _frame;
    private readonly TaskCompletionSource<TResponse> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Task<TResponse> Answer => _answer.Task;

    public override bool IsOver => _answer.Task.IsCompleted;

    public override bool IsOneWay => isOneWay;

    public override void CompleteUnanswered() => _answer.TrySetResult(default!);

    public override bool WantsFrame => keepsFrame && !IsOver;

    /// <summary>The memory of the answer, once there is one; the caller disposes it.</summary>
    public PooledBuffer Frame => _frame;

    public override Memory<byte> KeepFrame(PooledBuffer frame)
    {
        _frame = frame;
        return frame.Memory;
    }

    public override void Encode(FrameBuffer frame, int correlationId, string? clientId)
    {
        var header = new RequestHeader
        {
            RequestApiKey = (short)Key,
            RequestApiVersion = Version,
            CorrelationId = correlationId,
            ClientId = clientId,
        };
        var writer = new WireWriter(frame);
        header.Write(ref writer, Version >= TRequest.LowestFlexibleVersion ? (short)2 : (short)1);
        makeRequest(Version).Write(ref writer, Version);
        writer.Flush();
    }

    public override void Complete(Memory<byte> frame, int position)
    {
        if (IsOver)
            return; // a late answer, which nobody waits for
        if (_frame.IsEmpty && HasRecords(Key))
            frame = frame.ToArray(); // records are a window of the frame, and the connection uses its memory again
        var reader = new WireReader(frame[position..]);
        // An ApiVersions answer always has the old header, whatever its version (KIP-511).
        if (Version >= TResponse.LowestFlexibleVersion && Key != ApiKey.ApiVersions)
            SkipTaggedFields(ref reader);
        var response = TResponse.Read(ref reader, AnswerVersion(frame.Span[position..]));
        if (reader.Remaining > 0)
            throw new MalformedMessageException($"{reader.Remaining} bytes follow the answer to {Key} version {Version}.");
        if (!_answer.TrySetResult(response))
            _frame.Dispose(); // cancelled just now
    }

    public override void Fail(RequestFailedException failure)
    {
        if (_answer.TrySetException(failure))
            _frame.Dispose(); // of an answer that could not be read
    }

    public override void FailUnmade(Exception failure) => _answer.TrySetException(failure);

    public void Cancel(CancellationToken token) => _answer.TrySetCanceled(token);

    /// <summary>A peer that does not know our version of ApiVersions answers in version 0 (KIP-511).</summary>
    private short AnswerVersion(ReadOnlySpan<byte> body) =>
        Key == ApiKey.ApiVersions && body is [var high, var low, ..] && (short)((high << 8) | low) == (short)ErrorCode.UnsupportedVersion
            ? (short)0
            : Version;

    private static bool HasRecords(ApiKey key) => key is ApiKey.Fetch or ApiKey.FetchSnapshot or ApiKey.ShareFetch;
}
