using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;
using Ottla.Testing;

namespace Ottla.Simulator.Faults;

/// <summary>A connection of a <see cref="FaultTransport"/>: it cuts both streams into frames.</summary>
internal sealed class FaultConnection : ITransportConnection
{
    private const int LengthBytes = sizeof(int);
    private const int ReceiveBytes = 64 * 1024;

    private readonly ITransportConnection _inner;
    private readonly FaultTransport _owner;
    private readonly int _number;
    private readonly Queue<Exchange> _exchanges = new();
    private readonly List<byte> _outgoing = [];
    private readonly List<byte> _incoming = [];
    private TaskCompletionSource _changed = NewSignal();
    private ReadOnlyMemory<byte> _rest;
    private Exception? _failure;
    private bool _isEnded;
    private bool _isPumping;

    public FaultConnection(ITransportConnection inner, FaultTransport owner, int number)
    {
        _inner = inner;
        _owner = owner;
        _number = number;
    }

    public IPEndPoint? RemoteEndPoint => _inner.RemoteEndPoint;

    public IPEndPoint? LocalEndPoint => _inner.LocalEndPoint;

    public bool CanSendFile => false;

    public long SentBytes => _inner.SentBytes;

    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        _outgoing.AddRange(bytes.Span);
        while (TryTakeFrame(_outgoing) is { } frame)
            await SendFrameAsync(frame, cancellationToken);
    }

    public ValueTask SendFileAsync(
        ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken) =>
        throw new NotSupportedException("a client sends no files");

    public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (!_isPumping)
        {
            _isPumping = true;
            _ = PumpAsync();
        }

        while (_rest.IsEmpty)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_exchanges.TryPeek(out var oldest) && oldest is { Answer: { } answer, IsDelivered: true })
            {
                _exchanges.Dequeue();
                _rest = answer;
                break;
            }

            if (_failure is { } failure)
                throw failure;
            if (_isEnded)
                return 0;
            using (cancellationToken.UnsafeRegister(static signal => ((TaskCompletionSource)signal!).TrySetResult(), _changed))
                await _changed.Task;
        }

        var count = Math.Min(buffer.Length, _rest.Length);
        _rest[..count].CopyTo(buffer);
        _rest = _rest[count..];
        return count;
    }

    public void Abort()
    {
        _owner.OnClosed(_number);
        _inner.Abort();
        Fail(new SocketException((int)SocketError.OperationAborted));
    }

    public ValueTask DisposeAsync()
    {
        _owner.OnClosed(_number);
        return _inner.DisposeAsync();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static byte[]? TryTakeFrame(List<byte> bytes)
    {
        if (bytes.Count < LengthBytes)
            return null;
        var length = LengthBytes + BinaryPrimitives.ReadInt32BigEndian([.. bytes.Take(LengthBytes)]);
        if (bytes.Count < length)
            return null;
        byte[] frame = [.. bytes.Take(length)];
        bytes.RemoveRange(0, length);
        return frame;
    }

    private static byte[] WithLength(byte[] frame)
    {
        var length = new byte[LengthBytes];
        BinaryPrimitives.WriteInt32BigEndian(length, frame.Length);
        return [.. length, .. frame];
    }

    private async Task SendFrameAsync(byte[] frame, CancellationToken cancellationToken)
    {
        var request = frame.AsSpan(LengthBytes);
        var key = (ApiKey)BinaryPrimitives.ReadInt16BigEndian(request);
        var version = BinaryPrimitives.ReadInt16BigEndian(request[2..]);
        var exchange = new Exchange(key, version) { Fault = _owner.See(key, version, _number) };
        switch (exchange.Fault)
        {
            case RequestFault.Cut:
                Break();
                throw new SocketException((int)SocketError.ConnectionReset);
            case RequestFault.Drop:
                _exchanges.Enqueue(exchange);
                return;
            case RequestFault.Refuse refuse:
                exchange.Answer = ErrorResponses.Refuse(frame.AsSpan(LengthBytes), refuse.Error, refuse.Level);
                exchange.IsDelivered = true;
                _exchanges.Enqueue(exchange);
                Pulse();
                return;
            case RequestFault.Answer answer:
                exchange.Answer = WithLength(answer.Make(frame[LengthBytes..]));
                exchange.IsDelivered = true;
                _exchanges.Enqueue(exchange);
                Pulse();
                return;
            default:
                _exchanges.Enqueue(exchange);
                await _inner.SendAsync(frame, cancellationToken);
                return;
        }
    }

    /// <summary>Reads what the broker answers.</summary>
    private async Task PumpAsync()
    {
        var buffer = new byte[ReceiveBytes];
        try
        {
            while (await _inner.ReceiveAsync(buffer, CancellationToken.None) is > 0 and var count)
            {
                _incoming.AddRange(buffer.AsSpan(0, count));
                while (TryTakeFrame(_incoming) is { } frame)
                    OnAnswer(frame);
            }

            _isEnded = true;
            _owner.OnClosed(_number);
            Pulse();
        }
        catch (Exception e) when (e is SocketException or IOException)
        {
            _owner.OnClosed(_number);
            Fail(e);
        }
    }

    private void OnAnswer(byte[] frame)
    {
        // The broker answers in order what it was sent; what it was not sent has an answer already, or never gets one.
        var exchange = _exchanges.FirstOrDefault(each => each.Answer is null && each.Fault is not RequestFault.Drop);
        if (exchange is null)
            return;
        exchange.Answer = exchange.Fault switch
        {
            RequestFault.RefuseAfter refuse => ErrorResponses.Change(
                exchange.Key, exchange.Version, frame.AsMemory(LengthBytes), refuse.Error, refuse.Level),
            RequestFault.AnswerAfter answer => WithLength(answer.Make(frame[LengthBytes..])),
            _ => frame,
        };
        switch (exchange.Fault)
        {
            case RequestFault.CutAfter:
                Break();
                break;
            case RequestFault.Delay delay:
                _ = DeliverLaterAsync(exchange, delay.Time);
                break;
            default:
                exchange.IsDelivered = true;
                Pulse();
                break;
        }
    }

    private async Task DeliverLaterAsync(Exchange exchange, TimeSpan time)
    {
        await Task.Delay(time, _owner.Time);
        exchange.IsDelivered = true;
        Pulse();
    }

    private void Break()
    {
        _owner.OnClosed(_number);
        _inner.Abort();
        _exchanges.Clear();
        Fail(new SocketException((int)SocketError.ConnectionReset));
    }

    private void Fail(Exception failure)
    {
        _failure ??= failure;
        Pulse();
    }

    private void Pulse()
    {
        var changed = _changed;
        _changed = NewSignal();
        changed.TrySetResult();
    }

    /// <summary>A request and its answer.</summary>
    private sealed class Exchange(ApiKey key, short version)
    {
        public ApiKey Key => key;

        public short Version => version;

        public RequestFault? Fault { get; init; }

        /// <summary>The frame with its length; null while there is none.</summary>
        public byte[]? Answer { get; set; }

        public bool IsDelivered { get; set; }
    }
}
