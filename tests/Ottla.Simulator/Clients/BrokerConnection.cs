using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Bugs;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Clients;

/// <summary>
/// The connection to the broker is gone, or an answer took too long: what was asked may have been done or not, and may still be.
/// </summary>
internal sealed class ConnectionLostException(string message) : Exception(message);

/// <summary>
/// A client's connection to a broker: requests may be under way one behind another. Whatever goes wrong ends it for all of them.
/// </summary>
internal sealed class BrokerConnection
{
    private readonly SimProcess _process;
    private readonly ITransportConnection _transport;
    private readonly string _clientId;
    private readonly BrokerBug? _bug;
    private readonly Queue<(int CorrelationId, TaskCompletionSource<byte[]> Frame)> _pending = new();
    private int _lastCorrelationId;

    private BrokerConnection(SimProcess process, ITransportConnection transport, string clientId, BrokerBug? bug)
    {
        _process = process;
        _transport = transport;
        _clientId = clientId;
        _bug = bug;
    }

    /// <summary>Whether nothing went wrong yet.</summary>
    public bool IsOpen { get; private set; } = true;

    /// <inheritdoc/>
    public override string ToString() => $"{_transport.RemoteEndPoint}";

    /// <summary>Connects to a broker.</summary>
    /// <exception cref="ConnectionLostException">Nobody listens there, or nobody answers in time.</exception>
    public static async Task<BrokerConnection> OpenAsync(
        SimProcess process, IPEndPoint endpoint, string clientId, TimeSpan timeout, BrokerBug? bug = null)
    {
        using var patience = new CancellationTokenSource(timeout, process.Clock);
        try
        {
            var connection = new BrokerConnection(process, await process.Transport.ConnectAsync(endpoint, patience.Token), clientId, bug);
            process.Watch(connection.ReceiveAsync());
            return connection;
        }
        catch (SocketException e)
        {
            throw new ConnectionLostException(e.Message);
        }
        catch (OperationCanceledException)
        {
            throw new ConnectionLostException($"no connection to {endpoint} in {timeout}");
        }
    }

    /// <summary>Sends a request, and waits for its answer; the request is on its way when this returns.</summary>
    /// <exception cref="ConnectionLostException">There is no answer, and there will be none.</exception>
    public async Task<TResponse> CallAsync<TRequest, TResponse>(TRequest request, short version, TimeSpan timeout)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        if (!IsOpen)
            throw new ConnectionLostException("the connection is closed");
        version = _bug?.Wire?.Before(request, version) ?? version;
        var correlationId = ++_lastCorrelationId;
        var body = ClientFrames.Encode(TRequest.ApiKey, version, correlationId, request, _clientId);
        var bytes = new byte[sizeof(int) + body.Length];
        BinaryPrimitives.WriteInt32BigEndian(bytes, body.Length);
        body.CopyTo(bytes, sizeof(int));
        var answer = new TaskCompletionSource<byte[]>(TaskCreationOptions.RunContinuationsAsynchronously);
        _pending.Enqueue((correlationId, answer));
        await using var timer = _process.Clock.CreateTimer(
            _ => Close($"{TRequest.ApiKey} timed out"), null, timeout, Timeout.InfiniteTimeSpan);
        try
        {
            await _transport.SendAsync(bytes, default);
        }
        catch (SocketException e)
        {
            Close(e.Message);
        }

        var response = ClientFrames.Decode<TResponse>(await answer.Task, version, correlationId);
        _bug?.Wire?.After(request, response);
        return response;
    }

    /// <summary>Ends it; what was sent may still arrive.</summary>
    public void Close(string reason)
    {
        if (!IsOpen)
            return;
        IsOpen = false;
        _transport.Abort();
        while (_pending.TryDequeue(out var pending))
            pending.Frame.SetException(new ConnectionLostException(reason));
    }

    private async Task ReceiveAsync()
    {
        try
        {
            var prefix = new byte[sizeof(int)];
            while (await FillAsync(prefix))
            {
                var frame = new byte[BinaryPrimitives.ReadInt32BigEndian(prefix)];
                if (!await FillAsync(frame))
                    break;
                _pending.Dequeue().Frame.SetResult(frame);
            }

            Close("the broker closed the connection");
        }
        catch (SocketException e)
        {
            Close(e.Message);
        }
    }

    /// <returns>False when the stream ended.</returns>
    private async Task<bool> FillAsync(Memory<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var count = await _transport.ReceiveAsync(buffer, default);
            if (count == 0)
                return false;
            buffer = buffer[count..];
        }

        return true;
    }
}
