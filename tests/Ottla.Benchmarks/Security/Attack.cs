using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Ottla.Benchmarks.Load;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Benchmarks.Security;

/// <summary>
/// What hostile clients do to a broker, in a process of its own: many connections from many addresses. It lives for as long as it is told,
/// at no more than the rate that it is told, and prints how often it did its worst.
/// </summary>
internal sealed class Attack : IDisposable
{
    /// <summary>The kinds, in the order of the bench.</summary>
    public static IReadOnlyList<string> Kinds { get; } =
    [
        "half-open", "wrong-passwords", "tls-handshakes", "api-versions", "oversize", "fuzz",
    ];

    /// <summary>Connections of one address: no more than a broker lets it have before they are logged in.</summary>
    private const int ConnectionsPerAddress = 1000;

    private const int Loops = 16;
    private const int Pipelined = 100;
    private const int OperationMs = 5_000;
    private const int CheckMs = 1_000;
    private const ulong Seed = 20_261_130;

    private readonly int _clearPort;
    private readonly int _loginPort;
    private readonly int _tlsPort;
    private readonly int _connections;
    private readonly double _ratePerSecond;
    private readonly CancellationTokenSource _end;
    private readonly long _startedAt = Stopwatch.GetTimestamp();
    private long _begun;
    private long _count;

    private Attack(HostilePorts ports, int connections, double seconds, double ratePerSecond)
    {
        (_clearPort, _loginPort, _tlsPort) = ports;
        (_connections, _ratePerSecond) = (connections, ratePerSecond);
        _end = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
    }

    /// <summary>The arguments of such a process.</summary>
    /// <param name="kind">One of <see cref="Kinds"/>.</param>
    /// <param name="ports">Whom it attacks.</param>
    /// <param name="connections">How many connections are held open, where that is what hurts.</param>
    /// <param name="seconds">How long it lives.</param>
    /// <param name="ratePerSecond">How often it does at most what it does again and again; 0: as often as it can.</param>
    public static string[] ArgumentsOf(string kind, HostilePorts ports, int connections, double seconds, double ratePerSecond) =>
    [
        "attack", kind,
        .. new[] { ports.Clear, ports.Login, ports.Tls, connections, seconds, ratePerSecond }
            .Select(each => each.ToString(CultureInfo.InvariantCulture)),
    ];

    /// <summary>Attacks as <see cref="ArgumentsOf"/> says.</summary>
    public static int Run(IReadOnlyList<string> arguments)
    {
        if (arguments.Count != 7)
            throw new BenchException("attack: seven arguments are expected; `bench hostile` starts it by itself.");
        var numbers = arguments.Skip(1).Take(4).Select(each => int.Parse(each, CultureInfo.InvariantCulture)).ToArray();
        var rates = arguments.Skip(5).Select(each => double.Parse(each, CultureInfo.InvariantCulture)).ToArray();
        using var attack = new Attack(new HostilePorts(numbers[0], numbers[1], numbers[2]), numbers[3], rates[0], rates[1]);
        attack.RunAsync(arguments[0]).GetAwaiter().GetResult();
        Console.WriteLine(attack._count.ToString(CultureInfo.InvariantCulture));
        return 0;
    }

    public void Dispose() => _end.Dispose();

    private Task RunAsync(string kind) => kind switch
    {
        "half-open" => HoldAsync(_connections, OpenHalfAsync, isCounted: true),
        "wrong-passwords" => RepeatAsync(GuessAsync),
        "tls-handshakes" => RepeatAsync(ShakeHandsAsync),
        "api-versions" => RepeatAsync(FloodAsync),
        "oversize" => Task.WhenAll(HoldAsync(_connections / 10, SendAllButOneByteAsync, isCounted: false), RepeatAsync(SendTooMuchAsync)),
        "fuzz" => RepeatAsync(FuzzAsync),
        _ => throw new BenchException($"attack {kind}: there are {string.Join(", ", Kinds)}."),
    };

    /// <summary>Keeps connections open, and opens others for those that the broker has closed.</summary>
    private async Task HoldAsync(int connections, Func<int, Task<Socket?>> open, bool isCounted)
    {
        var held = new Socket?[connections];
        try
        {
            while (!_end.IsCancellationRequested)
            {
                for (var i = 0; i < connections && !_end.IsCancellationRequested; i++)
                {
                    if (held[i] is { } socket && !IsClosed(socket))
                        continue;
                    held[i]?.Dispose();
                    if ((held[i] = await open(i)) is not null && isCounted)
                        _count++;
                }

                await Task.Delay(CheckMs, _end.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // It is over.
        }
        finally
        {
            foreach (var socket in held)
                socket?.Dispose();
        }
    }

    /// <summary>Does something again and again, several at once.</summary>
    private Task RepeatAsync(Func<int, Prng, Task> action) => Task.WhenAll(Enumerable.Range(0, Loops).Select(async loop =>
    {
        var random = new Prng(Seed + (ulong)loop);
        while (!_end.IsCancellationRequested)
        {
            try
            {
                await KeepToRateAsync();
                await action(loop, random);
                Interlocked.Increment(ref _count);
            }
            catch (Exception e) when (e is SocketException or IOException or AuthenticationException or OperationCanceledException
                or ProtocolException)
            {
                // The broker defends itself.
            }
        }
    }));

    /// <summary>Waits until it is time for one more.</summary>
    private async Task KeepToRateAsync()
    {
        if (_ratePerSecond <= 0)
            return;
        var dueSeconds = Interlocked.Increment(ref _begun) / _ratePerSecond;
        var waitMs = (int)((dueSeconds - Stopwatch.GetElapsedTime(_startedAt).TotalSeconds) * 1000);
        if (waitMs > 0)
            await Task.Delay(waitMs, _end.Token);
    }

    /// <summary>A connection that has said nothing, or begun a login, or begun a TLS handshake.</summary>
    private async Task<Socket?> OpenHalfAsync(int index)
    {
        var socket = await TryConnectAsync(index, index % 4 == 3 ? _tlsPort : _loginPort);
        if (socket is null)
            return null;
        byte[] begun = (index % 4) switch
        {
            0 => [],
            1 => [.. LoginFrames.ApiVersions(), .. LoginFrames.Handshake("SCRAM-SHA-256")],
            2 => [.. LoginFrames.Handshake("SCRAM-SHA-256"), .. LoginFrames.Authenticate(LoginFrames.ScramFirst())],
            _ => LoginFrames.HalfClientHello(),
        };
        return await TrySendAsync(socket, begun) ? socket : null;
    }

    /// <summary>A connection that has sent the longest frame there may be, but for its last byte.</summary>
    private async Task<Socket?> SendAllButOneByteAsync(int index)
    {
        var socket = await TryConnectAsync(index, _loginPort);
        if (socket is null)
            return null;
        byte[] frame = [.. LoginFrames.Announce(LoginFrames.BytesMax), .. new byte[LoginFrames.BytesMax - 1]];
        LoginFrames.Handshake("PLAIN").AsSpan(sizeof(int), sizeof(int)).CopyTo(frame.AsSpan(sizeof(int)));
        return await TrySendAsync(socket, frame) ? socket : null;
    }

    private async Task GuessAsync(int loop, Prng random)
    {
        using var socket = await ConnectAsync(loop, _loginPort);
        await using var stream = new NetworkStream(socket);
        await AskAsync(stream, LoginFrames.Handshake("SCRAM-SHA-256"));
        var answer = await AskAsync(stream, LoginFrames.Authenticate(LoginFrames.ScramFirst()));
        var reader = new WireReader(answer.AsMemory(sizeof(int)));
        var challenge = SaslAuthenticateResponse.Read(ref reader, LoginFrames.Version).AuthBytes;
        await AskAsync(stream, LoginFrames.Authenticate(LoginFrames.WrongScramFinal(challenge)));
    }

    private async Task ShakeHandsAsync(int loop, Prng random)
    {
        using var socket = await ConnectAsync(loop, _tlsPort);
        await using var tls = new SslStream(new NetworkStream(socket));
        await tls.AuthenticateAsClientAsync(BenchCertificate.ClientOptions(), _end.Token);
    }

    /// <summary>ApiVersions without end: on a listener without logins, and on one with, which closes at the second.</summary>
    private async Task FloodAsync(int loop, Prng random)
    {
        using var socket = await ConnectAsync(loop, loop % 2 == 0 ? _clearPort : _loginPort);
        await using var stream = new NetworkStream(socket);
        byte[] frames = [.. Enumerable.Repeat(LoginFrames.ApiVersions(), Pipelined).SelectMany(frame => frame)];
        var answers = new byte[64 * 1024];
        for (var i = 0; i < Pipelined; i++)
        {
            await stream.WriteAsync(frames, _end.Token);
            if (await stream.ReadAsync(answers, _end.Token) == 0)
                return;
        }
    }

    private async Task SendTooMuchAsync(int loop, Prng random)
    {
        using var socket = await ConnectAsync(loop, _loginPort);
        await using var stream = new NetworkStream(socket);
        switch (random.NextInt(5))
        {
            case 0:
                await stream.WriteAsync(LoginFrames.Announce(int.MaxValue), _end.Token);
                break;
            case 1:
                await stream.WriteAsync(LoginFrames.Announce(-1), _end.Token);
                break;
            case 2:
                await stream.WriteAsync(LoginFrames.Announce(LoginFrames.BytesMax + 1), _end.Token);
                break;
            case 3:
                await AskAsync(stream, LoginFrames.Handshake("PLAIN"));
                await AskAsync(stream, LoginFrames.Authenticate(LoginFrames.Plain("mallory", new string('p', LoginFrames.BytesMax - 100))));
                return;
            default:
                await AskAsync(stream, LoginFrames.Handshake("OAUTHBEARER"));
                await AskAsync(stream, LoginFrames.Authenticate(LoginFrames.Token(new string('t', LoginFrames.BytesMax - 100))));
                return;
        }

        await stream.ReadExactlyAsync(new byte[1], _end.Token); // the broker closes the connection
    }

    /// <summary>A login of which some bytes are others.</summary>
    private async Task FuzzAsync(int loop, Prng random)
    {
        using var socket = await ConnectAsync(loop, random.NextInt(4) == 0 ? _clearPort : _loginPort);
        await using var stream = new NetworkStream(socket);
        byte[][] frames =
        [
            LoginFrames.ApiVersions(), LoginFrames.Handshake(random.NextInt(2) == 0 ? "PLAIN" : "SCRAM-SHA-512"),
            LoginFrames.Authenticate(random.NextInt(2) == 0 ? LoginFrames.Plain("mallory", "guess") : LoginFrames.ScramFirst()),
            RequestFrame.Encode(new MetadataRequest { Topics = [] }, version: 8, correlationId: 0),
        ];
        foreach (var frame in frames)
        {
            // Its length stays, or else the broker waits for more.
            for (var flips = random.NextInt(6); flips > 0; flips--)
                frame[random.NextInt(sizeof(int), frame.Length)] = (byte)random.NextInt(256);
        }

        await stream.WriteAsync(frames.SelectMany(frame => frame).ToArray(), _end.Token);
        socket.Shutdown(SocketShutdown.Send);
        var answers = new byte[16 * 1024];
        using var patience = PatienceOf();
        while (await stream.ReadAsync(answers, patience.Token) > 0)
        {
        }
    }

    /// <returns>The answer behind its length.</returns>
    private async Task<byte[]> AskAsync(NetworkStream stream, byte[] frame)
    {
        using var patience = PatienceOf();
        await stream.WriteAsync(frame, patience.Token);
        var length = new byte[sizeof(int)];
        await stream.ReadExactlyAsync(length, patience.Token);
        var answer = new byte[System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(length)];
        await stream.ReadExactlyAsync(answer, patience.Token);
        return answer;
    }

    private CancellationTokenSource PatienceOf()
    {
        var patience = CancellationTokenSource.CreateLinkedTokenSource(_end.Token);
        patience.CancelAfter(OperationMs);
        return patience;
    }

    private async Task<Socket?> TryConnectAsync(int index, int port)
    {
        try
        {
            return await ConnectAsync(index, port);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>Connects from one of the addresses 127.1.0.0/16: the ordinary client has another.</summary>
    private async Task<Socket> ConnectAsync(int index, int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            socket.Bind(new IPEndPoint(new IPAddress([127, 1, (byte)(index / ConnectionsPerAddress), 1]), 0));
            using var patience = PatienceOf();
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), patience.Token);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task<bool> TrySendAsync(Socket socket, byte[] bytes)
    {
        try
        {
            using var patience = PatienceOf();
            for (ReadOnlyMemory<byte> rest = bytes; !rest.IsEmpty;)
                rest = rest[await socket.SendAsync(rest, patience.Token)..];
            return true;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            socket.Dispose();
            return false;
        }
    }

    private static bool IsClosed(Socket socket)
    {
        try
        {
            return socket.Poll(0, SelectMode.SelectRead) && socket.Available == 0;
        }
        catch (SocketException)
        {
            return true;
        }
    }
}
