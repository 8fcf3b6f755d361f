namespace Ottla.Client;

/// <summary>Starts the client's own loops away from the context of whoever made the first call, such as the thread of a window.</summary>
internal static class Detached
{
    /// <summary>Starts a loop, which runs on the caller until its first wait.</summary>
    /// <param name="options">
    /// The client's options. Over a network that was given to it, as in a simulation, it stays in the context: that drives all work itself.
    /// </param>
    /// <param name="loop">The loop.</param>
    public static Task Start(OttlaClientOptions options, Func<Task> loop)
    {
        var context = SynchronizationContext.Current;
        if (context is null || options.Transport is not null)
            return loop();
        SynchronizationContext.SetSynchronizationContext(null);
        try
        {
            return loop();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }
}
