using System.Text.RegularExpressions;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Files;

namespace Ottla.Cli.KafkaTools.MetadataShell;

/// <summary>
/// kafka-metadata-shell: looks into a snapshot or a segment of the metadata log, as if it were a tree of files. It needs no running node.
/// </summary>
internal static partial class MetadataShellTool
{
    private const string Prompt = ">> ";

    /// <summary>Runs the tool.</summary>
    public static Task<int> RunAsync(ToolContext context)
    {
        var (options, command) = ArgparseParser.ParseLeading(context);
        options.Demand("snapshot");
        return Task.FromResult(Run(context, Read(options.Value("snapshot")!), command));
    }

    private static MetadataNode Read(string path)
    {
        try
        {
            return MetadataTree.Of(MetadataFile.Read(new RealFileSystem(), Path.GetFullPath(path)));
        }
        catch (Exception e) when (
            e is IOException or UnauthorizedAccessException or InvalidDataException or ProtocolException or MetadataException)
        {
            throw new ToolException($"Unexpected error: {e.Message}");
        }
    }

    private static int Run(ToolContext context, MetadataNode root, IReadOnlyList<string> command)
    {
        if (command.Count > 0)
            new ShellCommands(root, context.Output, screenWidth: null).Run(command);
        else
            RunShell(context, root);
        return 0;
    }

    private static void RunShell(ToolContext context, MetadataNode root)
    {
        var commands = new ShellCommands(root, context.Output, Console.IsOutputRedirected ? 0 : Console.WindowWidth);
        context.Output.WriteLine("Loading...\nStarting...\n[ Kafka Metadata Shell ]");
        while (!commands.HasEnded)
        {
            context.Output.Write(Prompt);
            context.Output.Flush();
            if (Console.In.ReadLine() is not { } line)
                return;
            commands.Run([.. Word().Matches(line).Select(word => word.Value.Trim('\'', '"'))]);
        }
    }

    [GeneratedRegex("'[^']*'|\"[^\"]*\"|\\S+")]
    private static partial Regex Word();
}
