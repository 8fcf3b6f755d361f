using System.Net;

namespace Ottla.Simulator.Worlds;

/// <summary>
/// A process in a world: what it awaits continues in it, on its own clock and network, until it is killed, and then nothing of it ever does
/// again.
/// </summary>
/// <remarks>Made by the <see cref="World"/>. Its code runs under it as the synchronization context; all awaits capture it.</remarks>
public sealed class SimProcess : SynchronizationContext
{
    private readonly SimScheduler _scheduler;

    /// <summary>The work of a paused process, in order; null while it runs.</summary>
    private List<(SendOrPostCallback Callback, object? State)>? _held;

    internal SimProcess(SimScheduler scheduler, SimNetwork network, int number, string name, IPAddress address)
    {
        _scheduler = scheduler;
        Number = number;
        Name = name;
        Address = address;
        Clock = new SimClock(scheduler, this);
        Transport = new SimTransport(network, this, address);
    }

    /// <summary>Counts the processes of a world.</summary>
    public int Number { get; }

    /// <summary>For whoever reads what happened.</summary>
    public string Name { get; }

    /// <summary>Its host.</summary>
    public IPAddress Address { get; }

    /// <summary>Whether it was not killed.</summary>
    public bool IsAlive { get; private set; } = true;

    /// <summary>Whether it stands still, as under SIGSTOP or a long collection of garbage.</summary>
    public bool IsPaused => _held is not null;

    /// <summary>Its clock: the world's time, with timers that die with it.</summary>
    public TimeProvider Clock { get; }

    /// <summary>Its network: connections die with it.</summary>
    public SimTransport Transport { get; }

    /// <summary>Takes an exception that nobody awaits.</summary>
    public required Action<SimulationException> Fail { get; init; }

    /// <summary>Takes what it does, for whoever looks at this seed; null when nobody does.</summary>
    public Action<FormattableString>? Tell { get; init; }

    /// <summary>Ends it at once, wherever it is. Its connections break off, its files are as it left them.</summary>
    public void Kill()
    {
        if (!IsAlive)
            return;
        IsAlive = false;
        _held = null;
        Transport.Close();
    }

    /// <summary>Has it do nothing until <see cref="Resume"/>. Its host still accepts connections and receives bytes for it.</summary>
    public void Pause()
    {
        if (IsAlive)
            _held ??= [];
    }

    /// <summary>Has it go on: with all that came meanwhile, and with timers that are late.</summary>
    public void Resume()
    {
        if (_held is not { } held)
            return;
        _held = null;
        foreach (var (callback, state) in held)
            _scheduler.Enqueue(this, callback, state);
    }

    /// <summary>Starts something in it.</summary>
    /// <returns>Ends as <paramref name="body"/> does; never, when the process is killed before.</returns>
    public Task Start(Func<Task> body)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(_ => _ = RunAsync(), null);
        return ended.Task;

        async Task RunAsync()
        {
            try
            {
                await body();
                ended.SetResult();
            }
            catch (Exception e)
            {
                ended.SetException(e);
            }
        }
    }

    /// <summary>Sees to it that nothing that goes on by itself ends in silence: its exception ends the run.</summary>
    public async void Watch(Task task)
    {
        try
        {
            await task;
        }
        catch (Exception e)
        {
            Fail(new SimulationException($"{Name}: {e.Message}", e));
        }
    }

    /// <summary>Waits, and says nothing more when killed meanwhile.</summary>
    public Task Delay(TimeSpan time) => Task.Delay(time, Clock);

    /// <inheritdoc/>
    public override void Post(SendOrPostCallback d, object? state) => _scheduler.Enqueue(this, d, state);

    /// <inheritdoc/>
    /// <remarks>A cancellation calls those that wait for it at once.</remarks>
    public override void Send(SendOrPostCallback d, object? state)
    {
        if (IsAlive)
            Run(d, state);
    }

    /// <inheritdoc/>
    public override SynchronizationContext CreateCopy() => this;

    /// <summary>Keeps work for when it goes on.</summary>
    internal void Hold(SendOrPostCallback callback, object? state) => _held!.Add((callback, state));

    internal void Run(SendOrPostCallback callback, object? state)
    {
        var outer = Current;
        SetSynchronizationContext(this);
        try
        {
            callback(state);
        }
        catch (Exception e) when (e is not SimulationException && IsAlive)
        {
            throw new SimulationException($"{Name} let an exception go: {e.Message}", e);
        }
        catch (Exception) when (!IsAlive)
        {
            // It was killed in the middle of this.
        }
        finally
        {
            SetSynchronizationContext(outer);
        }
    }
}
