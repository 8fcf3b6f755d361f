using Ottla.Cli.KafkaTools.Options;
using Ottla.Storage.Files;
using Ottla.Storage.Inspection;

namespace Ottla.Cli.KafkaTools.Storage;

/// <summary>kafka-dump-log: prints the files of logs. It needs no running broker.</summary>
internal static class DumpLogTool
{
    private const string StringDecoder = "org.apache.kafka.tools.api.StringDecoder";

    private static readonly string[] DecoderOptions = ["key-decoder-class", "value-decoder-class"];

    private static readonly (string Option, RecordDecoder Decoder)[] Decoders =
    [
        ("offsets-decoder", RecordDecoder.Offsets), ("transaction-log-decoder", RecordDecoder.Transactions),
        ("cluster-metadata-decoder", RecordDecoder.Metadata), ("share-group-state-decoder", RecordDecoder.Share),
    ];

    /// <summary>Runs the tool.</summary>
    public static Task<int> RunAsync(ToolContext context)
    {
        var options = JoptTool.Parse(
            context, "This tool prints the contents of the files of logs, to find out what is wrong with a segment that seems corrupt.");
        options.Require("files");
        return Task.FromResult(Dump(context, options));
    }

    private static int Dump(ToolContext context, ParsedOptions options)
    {
        var decoder = Decoders.FirstOrDefault(each => options.Has(each.Option));
        var dump = new LogDump(new RealFileSystem(), context.Output, new LogDumpOptions
        {
            Contents = options.Has("print-data-log") || decoder.Option is not null,
            RecordMetadata = !options.Has("skip-record-metadata"),
            AsKafka = true,
            BytesMax = options.Long("max-bytes") ?? long.MaxValue,
            Records = options.Has("print-data-log") || options.Has("deep-iteration") || decoder.Option is not null,
            Decoder = decoder.Option is null ? RecordDecoder.None : decoder.Decoder,
        });
        using (dump)
        {
            foreach (var file in options.Values("files").SelectMany(files => files.Split(',')))
            {
                if (!TryDump(context, options, dump, file))
                    return 1;
            }
        }

        return 0;
    }

    private static bool TryDump(ToolContext context, ParsedOptions options, LogDump dump, string file)
    {
        var suffix = Path.GetExtension(file);
        if (suffix is not (".log" or ".index" or ".timeindex" or ".txnindex" or ".snapshot" or ".checkpoint"))
        {
            context.Output.WriteLine($"Dumping {file}");
            context.Output.Flush();
            context.Error.WriteLine($"Ignoring unknown file {file}");
            return true;
        }

        if (suffix == ".log" && UnknownDecoder(options) is { } unknown)
        {
            context.Output.WriteLine($"Dumping {file}");
            throw new JavaException("java.lang.RuntimeException", $"There is no decoder {unknown} here, only {StringDecoder}.");
        }

        if (suffix is ".index" or ".timeindex" && (options.Has("index-sanity-check") || options.Has("verify-index-only")))
            return CheckIndex(context, options, file);
        try
        {
            dump.Dump(Path.GetFullPath(file), file);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or InvalidDataException)
        {
            if (e is ArgumentException)
                context.Output.WriteLine($"Dumping {file}");
            context.Output.Flush();
            context.Error.WriteLine(e.Message);
            return false;
        }
    }

    /// <summary>The class of keys or values that is not there; null when all are.</summary>
    private static string? UnknownDecoder(ParsedOptions options) =>
        DecoderOptions.Select(options.Value).FirstOrDefault(name => name is not (null or "" or StringDecoder));

    /// <summary>Reads an index and shows no entries.</summary>
    private static bool CheckIndex(ToolContext context, ParsedOptions options, string file)
    {
        var text = new StringWriter();
        using var dump = new LogDump(new RealFileSystem(), text, new LogDumpOptions());
        context.Output.WriteLine($"Dumping {file}");
        try
        {
            var isClean = dump.Dump(Path.GetFullPath(file), file);
            if (!isClean)
                context.Output.Write(text.ToString()[(text.ToString().IndexOf('\n') + 1)..]);
            else if (options.Has("index-sanity-check"))
                context.Output.WriteLine($"{file} passed sanity check.");
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            context.Output.Flush();
            context.Error.WriteLine(e.Message);
            return false;
        }
    }
}
