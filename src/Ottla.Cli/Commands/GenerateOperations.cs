using System.CommandLine;
using Ottla.Cli.Generate;
using Ottla.Kernel;

namespace Ottla.Cli.Commands;

/// <summary>
/// <c>ottla generate prometheus-rules|grafana|systemd|compose|kubernetes</c>: prints files for the programs around a cluster.
/// </summary>
internal static class GenerateOperations
{
    public static IEnumerable<Command> Create() => [Rules(), Dashboard(), Unit(), Compose(), Kubernetes()];

    private static Command Rules()
    {
        var job = new Option<string>("--job")
        {
            Description = "The name of Prometheus' job that scrapes the nodes.",
            DefaultValueFactory = _ => "kafka",
            HelpName = "NAME",
        };
        var command = new Command("prometheus-rules", "Print a file of alerts for Prometheus.") { job };
        command.SetAction(arguments => Console.Out.Write(PrometheusRules.Write(arguments.GetValue(job)!)));
        return command;
    }

    private static Command Dashboard()
    {
        var command = new Command("grafana", "Print a dashboard for Grafana, to be imported.");
        command.SetAction(_ => Console.Out.Write(GrafanaDashboard.Write()));
        return command;
    }

    private static Command Unit()
    {
        var executable = Text("--executable", "The executable.", Environment.ProcessPath ?? "/usr/bin/ottla", "FILE");
        var config = Text("--config", "The configuration of the node.", "/etc/ottla/server.properties", "FILE");
        var data = Text("--data", "The directory with the node's data.", "/var/lib/ottla", "DIR");
        var command = new Command("systemd", "Print a unit of systemd that runs a node.") { executable, config, data };
        command.SetAction(arguments => Console.Out.Write(
            SystemdUnit.Write(arguments.GetValue(executable)!, arguments.GetValue(config)!, arguments.GetValue(data)!)));
        return command;
    }

    private static Command Compose() =>
        Cluster("compose", "Print a file for Docker Compose that runs a cluster on one machine.", files => files.WriteCompose());

    private static Command Kubernetes() =>
        Cluster("kubernetes", "Print a manifest for Kubernetes that runs a cluster.", files => files.WriteKubernetes());

    private static Command Cluster(string name, string description, Func<ClusterFiles, string> write)
    {
        var image = Text("--image", "The image of the containers, whose entry point is the executable.", "ottla:latest", "IMAGE");
        var nodes = new Option<int>("--nodes")
        {
            Description = "How many nodes there are; each is a controller and a broker.",
            DefaultValueFactory = _ => 3,
            HelpName = "N",
        };
        nodes.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 1 or > ClusterFiles.NodesMax)
                result.AddError($"--nodes is a number from 1 to {ClusterFiles.NodesMax}.");
        });
        var clusterId = new Option<string?>("--cluster-id")
        {
            Description = "The id of the cluster; a new one unless it is named.",
            HelpName = "ID",
        };
        var command = new Command(name, description) { image, nodes, clusterId };
        command.SetAction(arguments => Console.Out.Write(write(new ClusterFiles(
            arguments.GetValue(image)!, arguments.GetValue(nodes), arguments.GetValue(clusterId) ?? Uuid.NewRandom().ToString()))));
        return command;
    }

    private static Option<string> Text(string name, string description, string value, string helpName) => new(name)
    {
        Description = description,
        DefaultValueFactory = _ => value,
        HelpName = helpName,
    };
}
