namespace Ottla.Cli.Commands;

/// <summary>What the process ends with.</summary>
internal static class ExitCode
{
    /// <summary>Done; for <c>start</c>: stopped in order by a signal.</summary>
    public const int Success = 0;

    /// <summary>It failed: a port taken, a disk lost, a directory in use or not formatted.</summary>
    public const int Failure = 1;

    /// <summary>The command line or the configuration is wrong; nothing was started.</summary>
    public const int Usage = 2;
}
