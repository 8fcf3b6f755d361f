using System.Runtime.InteropServices;
using Confluent.Kafka;

namespace Ottla.ConfluentDriver;

/// <summary>Chooses which of the package's builds of librdkafka Confluent.Kafka uses.</summary>
/// <remarks>
/// The package has several builds for each platform. The usual one needs the system's libsasl2, and others do not: the first that loads is
/// taken, so that the tests run on a machine without that library.
/// </remarks>
internal static class NativeClient
{
    private static readonly string[] Builds = ["librdkafka.so", "centos8-librdkafka.so", "alpine-librdkafka.so"];

    /// <summary>Makes the choice; before anything else is done with the client.</summary>
    /// <exception cref="DllNotFoundException">None of the builds loads.</exception>
    public static void Load()
    {
        if (!OperatingSystem.IsLinux())
            return; // one build, which needs nothing
        var platform = $"linux-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
        var folder = Path.Combine(AppContext.BaseDirectory, "runtimes", platform, "native");
        foreach (var build in Builds)
        {
            if (!NativeLibrary.TryLoad(Path.Combine(folder, build), out var library))
                continue;
            NativeLibrary.SetDllImportResolver(typeof(Library).Assembly, (name, _, _) => name == "librdkafka" ? library : 0);
            return;
        }

        throw new DllNotFoundException($"None of {string.Join(", ", Builds)} in {folder} loads.");
    }
}
