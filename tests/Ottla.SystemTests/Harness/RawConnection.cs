using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Ottla.SystemTests.Wire;

namespace Ottla.SystemTests.Harness;

/// <summary>A socket to the broker without any client between: sends whatever bytes a test likes. Owned by one test.</summary>
public sealed class RawConnection : IAsyncDisposable
{
    private const int ResponseBytesMax = 64 * 1024 * 1024;
    private const short ApiVersionsKey = 18;
    private const string ClientId = "raw";

    /// <summary>How long one send, one response or the broker's close may take.</summary>
    public static readonly TimeSpan OperationLimit = TimeSpan.FromSeconds(10);

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private int _correlationId;

    private RawConnection()
    {
    }

    /// <summary>Connects to the port on 127.0.0.1.</summary>
    public static async Task<RawConnection> OpenAsync(int port)
    {
        var connection = new RawConnection();
        try
        {
            using var deadline = new CancellationTokenSource(OperationLimit);
            await connection._socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), deadline.Token);
            return connection;
        }
        catch
        {
            connection._socket.Dispose();
            throw;
        }
    }

    /// <summary>A request's frame: length, header version 1 and the body.</summary>
    public static byte[] Frame(short apiKey, short apiVersion, int correlationId, ReadOnlySpan<byte> body)
    {
        var message = new WireWriter().Int16(apiKey).Int16(apiVersion).Int32(correlationId).String(ClientId).Raw(body).ToArray();
        return new WireWriter().Bytes(message).ToArray();
    }

    /// <summary>Sends a request with header version 1 and returns the response behind the correlation id.</summary>
    public async Task<WireReader> RequestAsync(short apiKey, short apiVersion, byte[] body)
    {
        var correlationId = ++_correlationId;
        await SendAsync(Frame(apiKey, apiVersion, correlationId, body));
        var response = await ReadFrameAsync()
            ?? throw new IOException($"The broker closed instead of answering API {apiKey} v{apiVersion}.");
        Assert.Equal(correlationId, response.Int32());
        return response;
    }

    /// <summary>Sends a request of a flexible version, and returns the response behind its header.</summary>
    public async Task<WireReader> RequestFlexibleAsync(short apiKey, short apiVersion, WireWriter body)
    {
        var tagsOfTheHeader = new WireWriter().NoTags().ToArray();
        var response = await RequestAsync(apiKey, apiVersion, [.. tagsOfTheHeader, .. body.NoTags().ToArray()]);
        response.SkipTags();
        return response;
    }

    /// <summary>Sends ApiVersions v0, and returns the lowest and highest version of each API.</summary>
    public async Task<IReadOnlyDictionary<short, (short Lowest, short Highest)>> ApiVersionsAsync()
    {
        var response = await RequestAsync(ApiVersionsKey, 0, []);
        Assert.Equal(0, response.Int16());
        var versions = new Dictionary<short, (short, short)>();
        for (var count = response.Int32(); count > 0; count--)
            versions.Add(response.Int16(), (response.Int16(), response.Int16()));
        Assert.Equal(0, response.Remaining);
        return versions;
    }

    /// <summary>Sends the bytes as they are.</summary>
    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        using var deadline = new CancellationTokenSource(OperationLimit);
        while (!bytes.IsEmpty)
            bytes = bytes[await _socket.SendAsync(bytes, deadline.Token)..];
    }

    /// <summary>Tells the broker that no more bytes come.</summary>
    public void FinishSending() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>The next response without its length, or null when the broker closed the connection.</summary>
    public async Task<WireReader?> ReadFrameAsync()
    {
        var prefix = new byte[sizeof(int)];
        if (!await ReceiveAsync(prefix))
            return null;
        var length = BinaryPrimitives.ReadInt32BigEndian(prefix);
        Assert.InRange(length, sizeof(int), ResponseBytesMax);
        var response = new byte[length];
        return await ReceiveAsync(response) ? new WireReader(response) : throw new IOException("The broker closed within a response.");
    }

    /// <summary>Awaits that the broker closes the connection, whatever it answers before, and fails the test if it does not.</summary>
    public async Task ExpectCloseAsync()
    {
        var buffer = new byte[4096];
        using var deadline = new CancellationTokenSource(OperationLimit);
        try
        {
            while (await _socket.ReceiveAsync(buffer, deadline.Token) > 0)
            {
            }
        }
        catch (SocketException exception) when (exception.SocketErrorCode is SocketError.ConnectionReset)
        {
            // Closed with bytes of ours unread.
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"The broker did not close the connection within {OperationLimit.TotalSeconds} s.");
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    // False: the broker closed before the first byte.
    private async Task<bool> ReceiveAsync(Memory<byte> buffer)
    {
        using var deadline = new CancellationTokenSource(OperationLimit);
        for (var received = 0; received < buffer.Length;)
        {
            int count;
            try
            {
                count = await _socket.ReceiveAsync(buffer[received..], deadline.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"No response within {OperationLimit.TotalSeconds} s.");
            }
            catch (SocketException exception) when (exception.SocketErrorCode is SocketError.ConnectionReset)
            {
                count = 0;
            }

            if (count == 0)
                return received == 0 ? false : throw new IOException("The broker closed within a response.");
            received += count;
        }

        return true;
    }
}
