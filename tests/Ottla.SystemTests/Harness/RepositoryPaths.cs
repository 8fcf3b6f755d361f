namespace Ottla.SystemTests.Harness;

/// <summary>Where the tests find what they run: paths below the repository's root.</summary>
public static class RepositoryPaths
{
    private const string RootMarker = "Ottla.slnx";

    /// <summary>The repository's root folder.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The broker's executable: OTTLA_EXECUTABLE, or what a build leaves in the artifacts folder.</summary>
    public static string BrokerExecutable =>
        Environment.GetEnvironmentVariable("OTTLA_EXECUTABLE") is { Length: > 0 } path ? path
        : Path.Combine(Root, "artifacts", "bin", "ottla");

    /// <summary>What an image is made by.</summary>
    public static string Containerfile => Path.Combine(Root, "Containerfile");

    /// <summary>The folder of the clients' drivers.</summary>
    public static string Clients => Path.Combine(Root, "tests", "Ottla.SystemTests", "Clients");

    /// <summary>The folder of the drivers that install-clients.sh compiles.</summary>
    public static string CompiledDrivers => Path.Combine(Root, "artifacts", "clients");

    /// <summary>The driver of Confluent.Kafka 2, as these tests' build leaves it.</summary>
    public static string ConfluentDriver { get; } = Path.Combine(
        Root, "artifacts", "bin", "Ottla.ConfluentDriver", new DirectoryInfo(AppContext.BaseDirectory).Name, "Ottla.ConfluentDriver.dll");

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, RootMarker)))
                return folder.FullName;
        }

        throw new InvalidOperationException($"No folder above {AppContext.BaseDirectory} has {RootMarker}.");
    }
}
