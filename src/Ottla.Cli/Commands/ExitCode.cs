namespace Ottla.Cli.Commands;

/// <summary>The exit codes of the process.</summary>
internal static class ExitCode
{
    /// <summary>The command succeeded. For <c>start</c>: a signal stopped the node in order.</summary>
    public const int Success = 0;

    /// <summary>The command failed: for example a port is taken, a disk failed, or a directory is in use or not formatted.</summary>
    public const int Failure = 1;

    /// <summary>The command line or the configuration is invalid; nothing was started.</summary>
    public const int Usage = 2;
}
