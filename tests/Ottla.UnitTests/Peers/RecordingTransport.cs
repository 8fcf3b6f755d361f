using System.Buffers.Binary;
using System.Net;
using Microsoft.Win32.SafeHandles;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Peers;

/// <summary>
/// What passed over the connections that nodes opened, in the order of the frames' last bytes. Thread-safe; used by one test.
/// </summary>
/// <param name="nowMs">The test's time.</param>
internal sealed class FrameRecorder(Func<double> nowMs)
{
    private readonly Lock _lock = new();
    private readonly List<RecordedMessage> _messages = [];

    /// <summary>What passed so far.</summary>
    public IReadOnlyList<RecordedMessage> Messages
    {
        get
        {
            lock (_lock)
                return [.. _messages];
        }
    }

    /// <summary>Takes a frame. Nodes are named by the last number of their address.</summary>
    public void Add(int source, IPEndPoint to, bool isRequest, ApiKey api, short version, byte[] frame)
    {
        var message = new RecordedMessage(
            "ours", nowMs(), isRequest, api, version, $"n{source}", $"n{to.Address.GetAddressBytes()[^1]}", frame);
        lock (_lock)
            _messages.Add(message);
    }
}

/// <summary>Hands every frame of the connections that a node opens to a <see cref="FrameRecorder"/>.</summary>
/// <param name="inner">The node's network.</param>
/// <param name="source">The node.</param>
/// <param name="recorder">Who takes them.</param>
/// <param name="port">The port of the receivers whose frames count.</param>
internal sealed class RecordingTransport(ITransport inner, int source, FrameRecorder recorder, int port) : ITransport
{
    public ITransportListener Listen(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes) => inner.Listen(endpoint, backlog, sizes);

    public async ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken)
    {
        var connection = await inner.ConnectAsync(endpoint, cancellationToken);
        return endpoint is IPEndPoint to && to.Port == port ? new Recorded(connection, source, to, recorder) : connection;
    }

    private sealed class Recorded(ITransportConnection inner, int source, IPEndPoint to, FrameRecorder recorder) : ITransportConnection
    {
        private readonly Dictionary<int, (ApiKey Api, short Version)> _asked = [];
        private readonly List<byte> _sent = [];
        private readonly List<byte> _received = [];

        public IPEndPoint? RemoteEndPoint => inner.RemoteEndPoint;

        public IPEndPoint? LocalEndPoint => inner.LocalEndPoint;

        public bool CanSendFile => false;

        public long SentBytes => inner.SentBytes;

        public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            var count = await inner.ReceiveAsync(buffer, cancellationToken);
            foreach (var frame in Cut(_received, buffer.Span[..count]))
            {
                (ApiKey Api, short Version) asked;
                lock (_asked)
                    Assert.True(_asked.Remove(BinaryPrimitives.ReadInt32BigEndian(frame), out asked), "an answer belongs to a request");
                recorder.Add(source, to, isRequest: false, asked.Api, asked.Version, frame);
            }

            return count;
        }

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            foreach (var frame in Cut(_sent, bytes.Span))
            {
                var api = (ApiKey)BinaryPrimitives.ReadInt16BigEndian(frame);
                var version = BinaryPrimitives.ReadInt16BigEndian(frame.AsSpan(2));
                lock (_asked)
                    _asked[BinaryPrimitives.ReadInt32BigEndian(frame.AsSpan(4))] = (api, version);
                recorder.Add(source, to, isRequest: true, api, version, frame);
            }

            return inner.SendAsync(bytes, cancellationToken);
        }

        public ValueTask SendFileAsync(
            ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public void Abort() => inner.Abort();

        public ValueTask DisposeAsync() => inner.DisposeAsync();

        /// <summary>Adds bytes to a stream, and takes the whole frames out.</summary>
        private static List<byte[]> Cut(List<byte> stream, ReadOnlySpan<byte> bytes)
        {
            stream.AddRange(bytes);
            var frames = new List<byte[]>();
            while (stream.Count >= 4 && BinaryPrimitives.ReadInt32BigEndian([.. stream[..4]]) is var length && stream.Count >= 4 + length)
            {
                frames.Add([.. stream[4..(4 + length)]]);
                stream.RemoveRange(0, 4 + length);
            }

            return frames;
        }
    }
}
