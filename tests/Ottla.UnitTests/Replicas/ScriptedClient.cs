using System.Net;
using Microsoft.Win32.SafeHandles;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Network.Transport;

namespace Ottla.UnitTests.Replicas;

/// <summary>
/// A client whose requests are there already: the broker's side runs through on the thread of the test, which counts what it allocates.
/// </summary>
internal abstract class ScriptedClient : HandlerThread, ITransportConnection
{
    private readonly Queue<IThreadPoolWorkItem> _deferred = new();
    private int _thread;

    public IPEndPoint? RemoteEndPoint => null;

    public IPEndPoint? LocalEndPoint => null;

    public bool CanSendFile => false;

    public long SentBytes => 0;

    /// <summary>Whether the thread is the one of the test.</summary>
    protected bool IsOnOwnThread => _thread == Environment.CurrentManagedThreadId;

    /// <summary>Serves the requests to the end.</summary>
    public async Task RunAsync(Connection connection)
    {
        _thread = Environment.CurrentManagedThreadId;
        SynchronizationContext.SetSynchronizationContext(null); // the test runner's would take continuations elsewhere
        Enter(this);
        try
        {
            await connection.RunAsync();
        }
        finally
        {
            Enter(null);
        }
    }

    public abstract ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken);

    public abstract ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken);

    public ValueTask SendFileAsync(
        ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public void Abort()
    {
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public override void Defer(IThreadPoolWorkItem work) => _deferred.Enqueue(work);

    /// <summary>Lets what was deferred go on, here.</summary>
    protected void RunDeferred()
    {
        while (_deferred.TryDequeue(out var work))
            work.Execute();
    }

    protected override void OnAboutToBlock()
    {
    }
}
