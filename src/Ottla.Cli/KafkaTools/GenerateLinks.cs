namespace Ottla.Cli.KafkaTools;

/// <summary>Makes links by the names of Kafka's scripts, each of which runs its tool.</summary>
internal static class GenerateLinks
{
    /// <summary>Makes a link for each tool, and replaces links that are there.</summary>
    /// <param name="directory">Where to; made if it is not there.</param>
    /// <param name="executable">What they lead to.</param>
    /// <returns>How many there are.</returns>
    /// <exception cref="IOException">One cannot be made, or a file that is no link has its name.</exception>
    public static int Make(string directory, string executable)
    {
        new DirectoryInfo(directory).Create();
        foreach (var tool in KafkaToolCatalog.Tools.Keys)
        {
            var link = new FileInfo(Path.Combine(directory, $"{tool}.sh"));
            if (link.LinkTarget is not null)
                link.Delete();
            link.CreateAsSymbolicLink(executable);
        }

        return KafkaToolCatalog.Tools.Count;
    }
}
