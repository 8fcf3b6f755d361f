using System.CommandLine;
using Ottla.Cli.Framework;
using Ottla.Cli.Monitoring;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla metrics</c>: what a node's monitoring listener says.</summary>
internal static class MetricsCommand
{
    /// <summary>Where a node of Ottla answers when nothing is set.</summary>
    public const string DefaultAddress = "127.0.0.1:9404";

    public static Command Create()
    {
        var names = new Argument<string[]>("name")
        {
            Description = "Only metrics whose name contains this.",
            HelpName = "NAME",
            Arity = ArgumentArity.ZeroOrMore,
        };
        var address = CommonOptions.Text("--address", $"The node's monitoring listener. Default: {DefaultAddress}.", "HOST:PORT", "-a");
        var detailed = CommonOptions.Flag("--detailed", "Also series of each partition.");
        return new ClusterCommand(
            "metrics", "Print the metrics of a node of Ottla, in Prometheus' text or as rows.", "metrics bytesin --address 127.0.0.1:9404",
            async context =>
            {
                var limit = ConnectionOptions.Duration(context.Value(ConnectionOptions.Timeout) ?? "15s", ConnectionOptions.Timeout.Name);
                var text = await MonitoringClient.GetAsync(
                    context.Value(address) ?? DefaultAddress, context.Value(detailed) ? "/metrics/detailed" : "/metrics", limit,
                    context.Stopped);
                var wanted = context.Value(names)!;
                if (context.Format == RowFormat.Text && wanted.Length == 0)
                {
                    context.Output.Write(text);
                    return;
                }

                var rows = context.Rows("metric", "labels", "value");
                foreach (var (name, labels, value) in MetricLines.Read(text))
                {
                    if (wanted.Length == 0 || wanted.Any(each => name.Contains(each, StringComparison.OrdinalIgnoreCase)))
                        rows.Add(name, labels, value);
                }

                rows.End("There are no such metrics.");
            }, names, address, detailed);
    }
}
