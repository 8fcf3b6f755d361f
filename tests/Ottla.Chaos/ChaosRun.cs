using System.Globalization;
using Ottla.Chaos.Clients;
using Ottla.Chaos.Judging;
using Ottla.Chaos.Machines;
using Ottla.Chaos.Scenarios;

namespace Ottla.Chaos;

/// <summary>One run from an empty folder to its verdict: a cluster, clients, a scenario, everything mended, and the judge.</summary>
internal sealed class ChaosRun(ChaosOptions options, Scenario scenario, string executable, string folder, RunLog log)
{
    private const int CopiedRecordsPerSecond = 20;
    private const int PaddingBytes = 100;

    /// <summary>Runs.</summary>
    /// <returns>What was found that must not be.</returns>
    public async Task<IReadOnlyList<string>> RunAsync()
    {
        var programs = FindPrograms();
        var plan = new ClusterPlan(scenario.Nodes, scenario.BrokersAlone, Configs());
        await using var cluster = await ChaosCluster.StartAsync(plan, executable, folder, log);
        log.Write($"{cluster.Machines.Count} nodes serve");
        var stage = await StartClientsAsync(cluster, programs);
        var anomalies = new List<string>();
        await TryAsync(() => scenario.RunAsync(stage), anomalies);
        stage.CloseWindow();
        cluster.StartAll();
        await TryAsync(stage.HealthAsync, anomalies);

        await FinishAsync(stage);
        anomalies.AddRange(Judge.Find(stage, scenario, folder));
        log.Write($"service:\n{new ServiceReport(stage.Workload, scenario.Topic.Partitions, stage.Windows)}");
        foreach (var disk in cluster.Machines.SelectMany(machine => machine.Disks))
            disk.Dispose(options.KeepsData || anomalies.Count > 0);
        return anomalies;
    }

    private async Task TryAsync(Func<Task> step, List<string> anomalies)
    {
        try
        {
            await step();
        }
        catch (Exception e) when (e is ScenarioException or UnhealthyException)
        {
            anomalies.Add(e.Message);
            log.Write($"ANOMALY: {e.Message}");
        }
    }

    private async Task<Stage> StartClientsAsync(ChaosCluster cluster, List<ClientProgram> programs)
    {
        var topicConfigs = new Dictionary<string, string>(scenario.TopicConfigs) { ["min.insync.replicas"] = Text(scenario.InSyncMin) };
        await cluster.Admin.CreateTopicAsync(Workload.Topic, scenario.Topic, topicConfigs);
        var setting = new ClientSetting(
            Directory.CreateDirectory(Path.Combine(folder, "clients")).FullName, cluster.Bootstrap, Workload.Topic,
            scenario.Topic.Partitions, log);
        var workload = new Workload(setting, scenario.Load ?? new WriterLoad(options.RecordsPerSecond, PaddingBytes));
        workload.Start(programs, scenario.Writers, hasReaderAlone: !scenario.MayLose);
        CopyWorkload? copies = null;
        if (scenario.HasCopies && programs.FirstOrDefault(program => program.Library == "librdkafka") is { } numbers)
        {
            var copiers = programs.Select(program => program.Library).Distinct()
                .Select(ClientProgram.CopierOf).OfType<ClientProgram>().ToList();
            foreach (var topic in CopyWorkload.TopicsOf(copiers))
            {
                await cluster.Admin.CreateTopicAsync(
                    topic, new TopicPlacement(CopyWorkload.Partitions, Replication), new Dictionary<string, string>());
            }

            copies = new CopyWorkload(setting, numbers);
            copies.Start(copiers, CopiedRecordsPerSecond);
        }

        await workload.WaitUntilAllWorkAsync();
        log.Write($"{workload.Writers.Count} writers and {workload.Readers.Count} readers work{(copies is null ? "" : ", and copiers")}");
        return new Stage(cluster, workload, copies, log);
    }

    /// <summary>Ends all clients when they have done everything, and then the nodes.</summary>
    private async Task FinishAsync(Stage stage)
    {
        await stage.Workload.StopWritersAsync();
        log.Write($"{stage.Workload.Acknowledged} records are acknowledged");
        if (stage.Copies is { } copies)
            await copies.FinishAsync();
        stage.Workload.StartReaderAlone();
        await stage.Workload.FinishReadersAsync(await stage.Cluster.Admin.EndOffsetsAsync(Workload.Topic, scenario.Topic.Partitions));
        await stage.Cluster.StopAllAsync();
        var (delivered, lost) = stage.Cluster.Network.Counts;
        log.Write(string.Create(CultureInfo.InvariantCulture, $"all nodes are stopped; {delivered} packets were delivered, {lost} lost"));
    }

    private int Replication => Math.Min(3, scenario.Topic.Replication);

    private Dictionary<string, string> Configs()
    {
        var configs = new Dictionary<string, string>
        {
            ["default.replication.factor"] = Text(Replication),
            ["min.insync.replicas"] = Text(Math.Min(2, Replication)),
            ["offsets.topic.replication.factor"] = Text(Replication),
            ["transaction.state.log.replication.factor"] = Text(Replication),
            ["transaction.state.log.min.isr"] = Text(Math.Min(2, Replication)),
        };
        foreach (var (name, value) in scenario.Configs.Concat(options.Configs))
            configs[name] = value;
        return configs;
    }

    private List<ClientProgram> FindPrograms()
    {
        var programs = new List<ClientProgram>();
        foreach (var program in (options.Clients ?? ClientProgram.Libraries).SelectMany(ClientProgram.Of))
        {
            if (program.FindMissing() is not { } missing)
                programs.Add(program);
            else if (options.Clients is null)
                log.Write($"without {program.Name}: {missing} (tests/Ottla.SystemTests/install-clients.sh installs the clients)");
            else
                throw new UsageException($"{program.Name} cannot be used: {missing}");
        }

        return programs.Count > 0
            ? programs
            : throw new UsageException("no client is installed: run tests/Ottla.SystemTests/install-clients.sh");
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
