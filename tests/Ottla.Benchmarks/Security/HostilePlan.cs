using System.Globalization;

namespace Ottla.Benchmarks.Security;

/// <summary>What <c>bench hostile</c> does.</summary>
/// <param name="Kinds">The attacks.</param>
/// <param name="Connections">How many connections are held open.</param>
/// <param name="Seconds">How long each attack is measured.</param>
internal sealed record HostilePlan(IReadOnlyList<string> Kinds, int Connections, double Seconds)
{
    private const int ConnectionsDefault = 10_000;
    private const int ConnectionsMax = 50_000;
    private const double SecondsDefault = 10;
    private const double SecondsMax = 3600;

    /// <summary>Takes its own arguments out of the command line.</summary>
    /// <exception cref="BenchException">An argument makes no sense.</exception>
    public static HostilePlan Take(List<string> arguments)
    {
        var connections = (int)TakeNumber(arguments, "--connections", ConnectionsDefault, ConnectionsMax);
        var seconds = TakeNumber(arguments, "--seconds", SecondsDefault, SecondsMax);
        var kinds = TakeText(arguments, "--attacks") is { } names
            ? names.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) : [.. Attack.Kinds];
        if (kinds.Except(Attack.Kinds).Any())
            throw new BenchException($"--attacks: there are {string.Join(", ", Attack.Kinds)}.");
        return new HostilePlan(kinds, connections, seconds);
    }

    /// <summary>Takes an argument with a number.</summary>
    public static double TakeNumber(List<string> arguments, string name, double otherwise, double max)
    {
        if (TakeText(arguments, name) is not { } text)
            return otherwise;
        return double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
            && value >= 1 && value <= max
            ? value : throw new BenchException($"{name}: a number from 1 to {max} is expected.");
    }

    private static string? TakeText(List<string> arguments, string name)
    {
        var index = arguments.IndexOf(name);
        if (index < 0)
            return null;
        if (index + 1 == arguments.Count)
            throw new BenchException($"{name} has no value.");
        var value = arguments[index + 1];
        arguments.RemoveRange(index, 2);
        return value;
    }
}
