using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace Ottla.Protocol.Batches.Compression;

/// <summary>
/// Looks for a codec's library of the operating system, which expands and compresses faster than the managed code does (docs/adr/0012).
/// </summary>
internal static class NativeCodecLibrary
{
    private const string Switch = "Ottla.NativeCodecLibraries";

    /// <summary>
    /// Whether libraries may be looked for. Not in a static executable, whose own C library would meet the system's in them.
    /// </summary>
    [FeatureSwitchDefinition(Switch)]
    internal static bool MayLoad => !AppContext.TryGetSwitch(Switch, out var isOn) || isOn;

    /// <summary>
    /// Whether a library is there, with every function that is called. It then stays loaded for good: the imports resolve to the same.
    /// </summary>
    public static bool TryLoad(string name, params ReadOnlySpan<string> functions)
    {
        if (!MayLoad || !NativeLibrary.TryLoad(name, out var library))
            return false;
        foreach (var function in functions)
        {
            if (!NativeLibrary.TryGetExport(library, function, out _))
                return false;
        }

        return true;
    }
}
