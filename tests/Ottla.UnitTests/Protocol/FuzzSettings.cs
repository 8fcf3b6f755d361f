using System.Globalization;

namespace Ottla.UnitTests.Protocol;

/// <summary>
/// How much the random tests do: little by default, as they run with every build; more with OTTLA_FUZZ_ITERATIONS, a factor.
/// </summary>
internal static class FuzzSettings
{
    private const string FactorVariable = "OTTLA_FUZZ_ITERATIONS";

    /// <summary>Mutations tried of every golden vector.</summary>
    public static int MutationsPerVector { get; } = 24 * Factor();

    /// <summary>Random frames tried on every version of every message.</summary>
    public static int RandomFramesPerVersion { get; } = 60 * Factor();

    /// <summary>Random messages made of every version of every message.</summary>
    public static int MessagesPerVersion { get; } = 6 * Factor();

    /// <summary>Connections that send mutated frames before their login: four each, unless the node closes them before.</summary>
    public static int HostileConnections { get; } = 400 * Factor();

    private static int Factor() =>
        Environment.GetEnvironmentVariable(FactorVariable) is { Length: > 0 } text
        ? int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture) : 1;
}
