using System.CommandLine;
using System.Globalization;
using System.Text;
using Ottla.Storage.Files;
using Ottla.Storage.Inspection;

namespace Ottla.Cli.Commands;

/// <summary><c>ottla log</c>: prints the files of logs. It needs no running broker and changes nothing.</summary>
internal static class LogCommand
{
    public static Command Create() => new("log", "Print or check the files of logs. Needs no running broker and changes nothing.")
    {
        CreateDump(),
        CreateVerify(),
    };

    private static Command CreateDump()
    {
        var paths = Paths("FILE|DIRECTORY", "Log files, directories of partitions, or whole log directories.");
        var records = new Option<bool>("--records")
        {
            Description = "Also print the records of each batch. Logs of internal topics are always printed with records.",
        };
        var decode = new Option<string>("--decode")
        {
            Description = "How to decode the records: metadata, offsets, transactions, share or none. Default: by the name of the topic.",
            HelpName = "DECODER",
        };
        decode.AcceptOnlyFromAmong("metadata", "offsets", "transactions", "share", "none");
        var offset = new Option<string>("--offset") { Description = "Print only these offsets.", HelpName = "FROM[..TO]" };
        var json = Json();
        var command = new Command("dump", "Print batches, records, indexes, snapshots and checkpoints, as kafka-dump-log does.")
        {
            paths, records, decode, offset, json,
        };
        command.SetAction(arguments =>
        {
            if (!TryParseOffsets(arguments.GetValue(offset), out var from, out var to))
            {
                Console.Error.WriteLine(
                    $"Invalid value '{arguments.GetValue(offset)}' for --offset: expected FROM or FROM..TO, where FROM is not greater "
                    + "than TO.");
                return ExitCode.Usage;
            }

            return Dump(arguments.GetValue(paths)!, new LogDumpOptions
            {
                Records = arguments.GetValue(records),
                Decoder = arguments.GetValue(decode) is { } decoder ? Enum.Parse<RecordDecoder>(decoder, ignoreCase: true) : null,
                FromOffset = from,
                ToOffset = to,
                Json = arguments.GetValue(json),
            });
        });
        return command;
    }

    private static int Dump(string[] paths, LogDumpOptions options)
    {
        var disk = new RealFileSystem();
        using var output = StandardOutput();
        using var dump = new LogDump(disk, output, options);
        var exitCode = ExitCode.Success;
        foreach (var path in paths)
        {
            try
            {
                foreach (var file in FilesOf(disk, path))
                {
                    if (!TryDump(dump, file))
                        exitCode = ExitCode.Failure;
                }
            }
            catch (ArgumentException failure)
            {
                Console.Error.WriteLine(failure.Message);
                return ExitCode.Usage;
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                Console.Error.WriteLine(failure.Message);
                exitCode = ExitCode.Failure;
            }
        }

        return exitCode;
    }

    /// <returns>False when the file is unreadable or part of it is corrupt. The caller goes on with the next file.</returns>
    private static bool TryDump(LogDump dump, string file)
    {
        try
        {
            return dump.Dump(Path.GetFullPath(file), file);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(failure.Message);
            return false;
        }
    }

    private static Command CreateVerify()
    {
        var paths = Paths("DIRECTORY", "Log directories, or directories of partitions.");
        var json = Json();
        var command = new Command(
            "verify", "Check segments, indexes, snapshots and checkpoints, and report every error with its place.") { paths, json };
        command.SetAction(arguments => Verify(arguments.GetValue(paths)!, arguments.GetValue(json)));
        return command;
    }

    private static int Verify(string[] paths, bool json)
    {
        var disk = new RealFileSystem();
        if (paths.FirstOrDefault(path => !disk.DirectoryExists(Path.GetFullPath(path))) is { } missing)
        {
            Console.Error.WriteLine($"The directory {missing} does not exist.");
            return ExitCode.Usage;
        }

        using var output = StandardOutput();
        var counts = new int[3];
        try
        {
            var verifier = new LogVerifier(disk, finding =>
            {
                counts[(int)finding.Severity]++;
                output.WriteLine(json ? finding.ToJson() : finding.ToString());
            });
            foreach (var path in paths)
                verifier.Verify(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            output.Flush();
            Console.Error.WriteLine(failure.Message);
            return ExitCode.Failure;
        }

        if (!json)
            output.WriteLine(
                $"{counts[(int)FindingSeverity.Error]} errors, {counts[(int)FindingSeverity.Warning]} warnings, "
                + $"{counts[(int)FindingSeverity.Info]} infos");
        return counts[(int)FindingSeverity.Error] > 0 ? ExitCode.Failure : ExitCode.Success;
    }

    /// <summary>
    /// The files to print for a path: the file itself, or every log file in the directory and in its partition directories.
    /// </summary>
    private static IEnumerable<string> FilesOf(RealFileSystem disk, string path)
    {
        var full = Path.GetFullPath(path);
        if (disk.FileExists(full))
            return [path];
        if (!disk.DirectoryExists(full))
            throw new ArgumentException($"The file or directory {path} does not exist.");
        return disk.ListFiles(full).Where(LogDump.CanDump).Select(name => Path.Combine(path, name))
            .Concat(disk.ListDirectories(full).SelectMany(directory =>
                disk.ListFiles(Path.Combine(full, directory)).Where(LogDump.CanDump).Select(name => Path.Combine(path, directory, name))));
    }

    private static Argument<string[]> Paths(string name, string description) =>
        new(name) { Description = description, Arity = ArgumentArity.OneOrMore };

    private static Option<bool> Json() => new("--json") { Description = "Print one JSON object per line." };

    private static StreamWriter StandardOutput() =>
        new(Console.OpenStandardOutput(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 64 * 1024);

    private static bool TryParseOffsets(string? text, out long from, out long to)
    {
        from = 0;
        to = long.MaxValue;
        if (text is null)
            return true;
        var dots = text.IndexOf("..", StringComparison.Ordinal);
        return long.TryParse(dots < 0 ? text : text[..dots], NumberStyles.None, CultureInfo.InvariantCulture, out from)
            && (dots < 0 || long.TryParse(text[(dots + 2)..], NumberStyles.None, CultureInfo.InvariantCulture, out to)) && from <= to;
    }
}
