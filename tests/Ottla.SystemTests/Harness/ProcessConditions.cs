using System.Globalization;

namespace Ottla.SystemTests.Harness;

/// <summary>What a broker's process finds where it starts.</summary>
/// <param name="DescriptorsMax">How many files and sockets it may have open; null for as many as the tests themselves.</param>
/// <param name="Root">The directory that it takes for the root, with the executable in it; null for the tests' own.</param>
/// <param name="IsOutputRead">Whether somebody reads what it writes, or only once <see cref="BrokerProcess.ReadOutput"/> is called.</param>
/// <param name="AuthoritiesFile">The certificates that the machine trusts; null for the tests' own.</param>
public sealed record ProcessConditions(
    int? DescriptorsMax = null, string? Root = null, bool IsOutputRead = true, string? AuthoritiesFile = null)
{
    /// <summary>The command that starts <paramref name="executable"/> so; it stays the same process.</summary>
    public (string File, IReadOnlyList<string> Arguments) Apply(string executable, IReadOnlyList<string> arguments)
    {
        if (Root is not null)
            return (StaticExecutable.ChangeRoot, [Root, "/" + Path.GetFileName(executable), .. arguments]);
        if (AuthoritiesFile is not null)
            return ("/usr/bin/env", [$"SSL_CERT_FILE={AuthoritiesFile}", executable, .. arguments]);
        if (DescriptorsMax is not { } limit)
            return (executable, arguments);
        var script = string.Create(CultureInfo.InvariantCulture, $"ulimit -n {limit}; exec \"$0\" \"$@\"");
        return ("/bin/sh", ["-c", script, executable, .. arguments]);
    }
}
