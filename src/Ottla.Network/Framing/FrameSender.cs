using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;

namespace Ottla.Network.Framing;

/// <summary>
/// Sends frames over a connection in as few calls as possible. One per connection; the connection's task owns it and sends one batch at a
/// time.
/// </summary>
/// <remarks>
/// Bytes to send are held in one of two places: a single run stays where it is (<see cref="_run"/>), several runs are copied into
/// <see cref="_staging"/>. So a single frame is sent without a copy, and many small ones are sent together.
/// </remarks>
public sealed class FrameSender
{
    /// <summary>
    /// Slices of at least this size, in bytes, are sent with sendfile. For smaller ones its extra calls (a separate send of the header,
    /// lseek and fstat per slice) cost more than a copy. Measured on loopback, both cost the same between 64 and 128 KiB.
    /// </summary>
    public const int SendFileThresholdBytes = 64 * 1024;

    /// <summary>
    /// The most bytes to copy before they are sent. More saves no measurable time and does not fit the processor's cache.
    /// </summary>
    public const int StagingBytesMax = 256 * 1024;

    /// <summary>
    /// Runs of at least this size, in bytes, are sent from where they are: copying them would cost more than another send.
    /// </summary>
    private const int RunBytesCopiedMax = 64 * 1024;

    private readonly ITransportConnection _connection;
    private readonly BufferPool _pool;

    private List<FrameBuffer>? _single;
    private PooledBuffer _staging;
    private int _staged;
    private int _stagingBytes;
    private ReadOnlyMemory<byte> _run;
    private bool _isSending;

    /// <summary>Makes a sender for <paramref name="connection"/>.</summary>
    /// <param name="connection">The connection. The caller disposes it; a failed send aborts it.</param>
    /// <param name="pool">The pool to rent memory for copies from.</param>
    public FrameSender(ITransportConnection connection, BufferPool pool)
    {
        ArgumentNullException.ThrowIfNull(connection);
        ArgumentNullException.ThrowIfNull(pool);
        _connection = connection;
        _pool = pool;
    }

    /// <summary>Sends a frame with its length prefix. The sender owns the frame and disposes it, also when sending fails.</summary>
    /// <inheritdoc cref="SendAsync(List{FrameBuffer}, CancellationToken)"/>
    public ValueTask SendAsync(FrameBuffer frame, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(frame);
        Begin();
        if (frame.SliceCount == 0)
            return SendBytesAsync(frame, cancellationToken);
        _single ??= [null!];
        _single[0] = frame;
        return SendAllAsync(_single, cancellationToken);
    }

    /// <summary>
    /// Sends the frames in order, each with its length prefix. The sender owns the frames and disposes them, also when sending fails.
    /// </summary>
    /// <param name="ready">The frames. The caller may reuse the list when this completes.</param>
    /// <param name="cancellationToken">
    /// Cancels the send and aborts the connection, because the peer cannot continue after half a frame.
    /// </param>
    /// <exception cref="IOException">
    /// The connection failed, or a slice could not be read or was too short. The connection is aborted.
    /// </exception>
    /// <exception cref="System.Net.Sockets.SocketException">The connection failed; it is aborted.</exception>
    public ValueTask SendAsync(List<FrameBuffer> ready, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(ready);
        Begin();
        return ready is [{ SliceCount: 0 } frame] ? SendBytesAsync(frame, cancellationToken) : SendAllAsync(ready, cancellationToken);
    }

    private void Begin()
    {
        Invariant.Check(!_isSending, "a connection runs one send at a time");
        _isSending = true;
    }

    /// <summary>Sends a frame without slices, as nearly all are, from where it is. Usually it is sent when this returns.</summary>
    private ValueTask SendBytesAsync(FrameBuffer frame, CancellationToken cancellationToken)
    {
        ValueTask sending;
        try
        {
            sending = _connection.SendAsync(frame.Seal(), cancellationToken);
        }
        catch (Exception e)
        {
            sending = ValueTask.FromException(e);
        }

        if (!sending.IsCompletedSuccessfully)
            return FinishAsync(frame, sending);
        sending.GetAwaiter().GetResult();
        End(frame);
        return ValueTask.CompletedTask;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FinishAsync(FrameBuffer frame, ValueTask sending)
    {
        try
        {
            await sending;
        }
        catch
        {
            _connection.Abort();
            throw;
        }
        finally
        {
            End(frame);
        }
    }

    private void End(FrameBuffer frame)
    {
        frame.Dispose();
        _isSending = false;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendAllAsync(List<FrameBuffer> ready, CancellationToken cancellationToken)
    {
        try
        {
            _stagingBytes = StagingBytesFor(ready);
            foreach (var frame in ready)
            {
                var bytes = frame.Seal();
                var begin = 0;
                for (var j = 0; j < frame.SliceCount; j++)
                {
                    var (slice, end) = frame.SliceBehind(j);
                    await AddBytesAsync(bytes[begin..end], cancellationToken);
                    await AddSliceAsync(slice, cancellationToken);
                    begin = end;
                }

                await AddBytesAsync(bytes[begin..], cancellationToken);
            }

            await FlushAsync(cancellationToken);
        }
        catch
        {
            _connection.Abort();
            throw;
        }
        finally
        {
            _run = default;
            _staged = 0;
            _staging.Dispose();
            foreach (var frame in ready)
                frame.Dispose();
            _isSending = false;
        }
    }

    private static int StagingBytesFor(List<FrameBuffer> ready)
    {
        long bytes = 0;
        for (var i = 0; i < ready.Count && bytes < StagingBytesMax; i++)
            bytes += FrameBuffer.PrefixBytes + (long)ready[i].TotalLength;
        return (int)Math.Min(bytes, StagingBytesMax);
    }

    private ValueTask AddBytesAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (bytes.IsEmpty)
            return ValueTask.CompletedTask;
        if (_staged == 0 && _run.IsEmpty)
        {
            _run = bytes;
            return ValueTask.CompletedTask;
        }

        if (bytes.Length >= RunBytesCopiedMax || !TryStageRun() || bytes.Length > _staging.Length - _staged)
            return FlushAndHoldAsync(bytes, cancellationToken);
        bytes.Span.CopyTo(_staging.Span[_staged..]);
        _staged += bytes.Length;
        return ValueTask.CompletedTask;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FlushAndHoldAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        await FlushAsync(cancellationToken, isMoreToCome: true);
        _run = bytes;
    }

    private ValueTask AddSliceAsync(IFileSlice slice, CancellationToken cancellationToken) => slice switch
    {
        MemorySlice { Length: >= RunBytesCopiedMax } run => AddBytesAsync(run.Memory, cancellationToken),
        { Length: >= SendFileThresholdBytes, Source: { } source } when _connection.CanSendFile =>
            SendFileAsync(source, slice.SourcePosition, slice.Length, cancellationToken),
        _ => CopySliceAsync(slice, cancellationToken),
    };

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendFileAsync(SafeFileHandle source, long position, int length, CancellationToken cancellationToken)
    {
        await _connection.SendFileAsync(Pending, source, position, length, cancellationToken);
        _run = default;
        _staged = 0;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask CopySliceAsync(IFileSlice slice, CancellationToken cancellationToken)
    {
        if (!TryStageRun())
            await FlushAsync(cancellationToken);
        var offset = 0;
        while (offset < slice.Length)
        {
            RentStaging();
            var count = Math.Min(slice.Length - offset, _staging.Length - _staged);
            Read(slice, offset, _staging.Span.Slice(_staged, count));
            _staged += count;
            offset += count;
            if (_staged == _staging.Length)
                await FlushAsync(cancellationToken);
        }
    }

    private static void Read(IFileSlice slice, int offset, Span<byte> destination)
    {
        try
        {
            slice.Read(offset, destination);
        }
        catch (IOException exception)
        {
            // The prefix already announced these bytes, so the frame can be neither completed nor taken back.
            throw new IOException(
                $"Cannot read a file slice of {slice.Length} bytes at byte {offset}. The connection is closed.", exception);
        }
    }

    /// <summary>Copies the held run to the staging memory if it is small enough and fits.</summary>
    /// <returns>False when the run must be sent from where it is.</returns>
    private bool TryStageRun()
    {
        if (_run.Length >= RunBytesCopiedMax)
            return false;
        RentStaging();
        if (_run.Length > _staging.Length - _staged)
            return false;
        _run.Span.CopyTo(_staging.Span[_staged..]);
        _staged += _run.Length;
        _run = default;
        return true;
    }

    private void RentStaging()
    {
        if (_staging.IsEmpty)
            _staging = _pool.Rent(_stagingBytes);
    }

    /// <summary>The bytes to send next: the run or the staged bytes, never both.</summary>
    private ReadOnlyMemory<byte> Pending => _staged > 0 ? _staging.Memory[.._staged] : _run;

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FlushAsync(CancellationToken cancellationToken, bool isMoreToCome = false)
    {
        var pending = Pending;
        if (pending.IsEmpty)
            return;
        await (isMoreToCome
            ? _connection.SendWithMoreAsync(pending, cancellationToken)
            : _connection.SendAsync(pending, cancellationToken));
        _run = default;
        _staged = 0;
    }
}
