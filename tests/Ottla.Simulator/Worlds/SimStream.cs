using System.Net;
using System.Net.Sockets;

namespace Ottla.Simulator.Worlds;

/// <summary>One direction of a simulated connection: what was sent, on its way or arrived.</summary>
/// <param name="network">What carries it.</param>
/// <param name="from">The host that writes.</param>
/// <param name="to">The host that reads.</param>
/// <param name="port">The port that the connection was made to.</param>
internal sealed class SimStream(SimNetwork network, IPAddress from, IPAddress to, int port)
{
    private readonly Queue<Action> _underWay = new();
    private readonly Queue<ReadOnlyMemory<byte>> _arrived = new();

    /// <summary>What is left of the piece that was read last.</summary>
    private ReadOnlyMemory<byte> _rest;
    private long _lastArrivalTicks;
    private bool _isEnded;
    private bool _isClosedByReader;
    private SocketError _readerError;
    private SocketError _writerError;
    private TaskCompletionSource? _reader;

    /// <summary>Called when bytes arrive that nobody will read any more.</summary>
    public Action? OnRefused { get; set; }

    /// <summary>Sends bytes on their way.</summary>
    public void Write(ReadOnlyMemory<byte> bytes)
    {
        if (_writerError != SocketError.Success)
            throw new SocketException((int)_writerError);
        for (ReadOnlyMemory<byte> rest = bytes.ToArray(); !rest.IsEmpty;)
        {
            var piece = rest[..network.NextPiece(rest.Length)];
            rest = rest[piece.Length..];
            Carry(() => Arrive(piece));
        }
    }

    /// <summary>Ends the stream in order, behind what was sent.</summary>
    public void End()
    {
        FailWriter(SocketError.OperationAborted);
        Carry(() =>
        {
            _isEnded = true;
            Wake();
        });
    }

    /// <summary>The writer breaks off: the reader learns of it behind what was sent before, and loses what it has not read then.</summary>
    public void Reset(Action? onArrival = null)
    {
        FailWriter(SocketError.OperationAborted);
        Carry(() =>
        {
            FailReader(SocketError.ConnectionReset);
            onArrival?.Invoke();
        });
    }

    /// <summary>From now on the writer cannot send.</summary>
    public void FailWriter(SocketError error)
    {
        if (_writerError == SocketError.Success)
            _writerError = error;
    }

    /// <summary>From now on the reader gets nothing any more.</summary>
    public void FailReader(SocketError error)
    {
        _isClosedByReader |= error == SocketError.OperationAborted;
        if (_readerError == SocketError.Success)
            _readerError = error;
        _arrived.Clear();
        _rest = default;
        Wake();
    }

    /// <summary>Reads what there is; an empty buffer waits until there is something.</summary>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_readerError != SocketError.Success)
                throw new SocketException((int)_readerError);
            if (!_rest.IsEmpty || _arrived.Count > 0)
                return Take(buffer);
            if (_isEnded)
                return 0;
            _reader = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            using (cancellationToken.UnsafeRegister(static reader => ((TaskCompletionSource)reader!).TrySetResult(), _reader))
                await _reader.Task;
        }
    }

    private int Take(Memory<byte> buffer)
    {
        var taken = 0;
        while (taken < buffer.Length && (!_rest.IsEmpty || _arrived.TryDequeue(out _rest)))
        {
            var count = Math.Min(_rest.Length, buffer.Length - taken);
            _rest[..count].CopyTo(buffer[taken..]);
            _rest = _rest[count..];
            taken += count;
        }

        return taken;
    }

    private void Arrive(ReadOnlyMemory<byte> piece)
    {
        if (_isClosedByReader)
            OnRefused?.Invoke();
        if (_readerError != SocketError.Success)
            return;
        _arrived.Enqueue(piece);
        Wake();
    }

    private void Carry(Action arrive)
    {
        // What is sent later does not arrive earlier. Timers that are due together fire in any order: each takes what is next.
        var arrival = Math.Max(network.NowTicks + network.NextDelay(from, to).Ticks, _lastArrivalTicks);
        _lastArrivalTicks = arrival;
        _underWay.Enqueue(arrive);
        network.Carry(TimeSpan.FromTicks(arrival - network.NowTicks), DeliverNext);
    }

    private void DeliverNext()
    {
        if (network.IsCut(from, to, port))
            network.Hold(DeliverNext);
        else
            _underWay.Dequeue()();
    }

    private void Wake()
    {
        var reader = _reader;
        _reader = null;
        reader?.TrySetResult();
    }
}
