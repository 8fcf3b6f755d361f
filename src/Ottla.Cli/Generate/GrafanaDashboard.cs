using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Ottla.Cli.Generate;

/// <summary>A picture of the dashboard.</summary>
/// <param name="Title">Its title.</param>
/// <param name="Unit">Grafana's name of the unit.</param>
/// <param name="Queries">What it shows: expressions, and what a line is called. <c>$job</c> stands for the job's selector.</param>
internal sealed record Panel(string Title, string Unit, params IReadOnlyList<(string Expression, string Legend)> Queries)
{
    /// <summary>Whether it is a number with a colour: green while it is <see cref="Good"/>.</summary>
    public bool IsNumber { get; init; }

    /// <summary>The value of a number that is as it should be.</summary>
    public int Good { get; init; }
}

/// <summary>
/// The dashboard that <c>ottla generate grafana</c> writes. A test asks a real Prometheus whether it has every series that it queries.
/// </summary>
internal static class GrafanaDashboard
{
    private const string Job = "job=~\"$job\"";
    private const int Columns = 24;
    private const int NumberWidth = 4;
    private const int GraphWidth = 8;
    private const int NumberHeight = 4;
    private const int GraphHeight = 7;

    /// <summary>The rows, with their panels.</summary>
    public static IReadOnlyList<(string Title, IReadOnlyList<Panel> Panels)> Rows { get; } =
    [
        ("Is it well?",
        [
            Number("Nodes that do not answer", "count(up{$job} == 0) or vector(0)"),
            Number("Active controllers", "sum(kafka_controller_kafkacontroller_activecontrollercount{$job})") with { Good = 1 },
            Number("Partitions without leader", "max(kafka_controller_kafkacontroller_offlinepartitionscount{$job})"),
            Number("Too few replicas in sync", "sum(kafka_server_replicamanager_underminisrpartitioncount{$job})"),
            Number("Under-replicated", "sum(kafka_server_replicamanager_underreplicatedpartitions{$job})"),
            Number("Log directories lost", "sum(kafka_log_logmanager_offlinelogdirectorycount{$job})"),
        ]),
        ("Traffic",
        [
            new("Records in", "cps",
                (Rate("kafka_server_brokertopicmetrics_messagesin_total{$job,topic=\"\"}", "instance"), "{{instance}}")),
            new("Bytes in", "Bps", (Rate("kafka_server_brokertopicmetrics_bytesin_total{$job,topic=\"\"}", "instance"), "{{instance}}")),
            new("Bytes out", "Bps", (Rate("kafka_server_brokertopicmetrics_bytesout_total{$job,topic=\"\"}", "instance"), "{{instance}}")),
            new("Bytes in, largest topics", "Bps",
                ($"topk(10, {Rate("kafka_server_brokertopicmetrics_bytesin_total{$job,topic!=\"\"}", "topic")})", "{{topic}}")),
            new("Replication", "Bps",
                (Rate("kafka_server_brokertopicmetrics_replicationbytesin_total{$job}", "instance"), "in {{instance}}"),
                (Rate("kafka_server_brokertopicmetrics_replicationbytesout_total{$job}", "instance"), "out {{instance}}")),
            new("Connections", "short", ("sum by (instance) (kafka_server_socket_server_metrics_connection_count{$job})", "{{instance}}")),
        ]),
        ("Requests",
        [
            new("Produce, 99 % within", "ms",
                ("kafka_network_requestmetrics_totaltimems{$job,request=\"Produce\",quantile=\"0.99\"}", "{{instance}}")),
            new("Fetch of consumers, 99 % within", "ms",
                ("kafka_network_requestmetrics_totaltimems{$job,request=\"FetchConsumer\",quantile=\"0.99\"}", "{{instance}}")),
            new("Requests", "reqps", (Rate("kafka_network_requestmetrics_requests_total{$job}", "request"), "{{request}}")),
            new("Where Produce spends its time (99 %)", "ms",
                (Slowest("localtimems", "Produce"), "work"), (Slowest("remotetimems", "Produce"), "waits for replicas"),
                (Slowest("throttletimems", "Produce"), "held back by a quota"), (Slowest("responsesendtimems", "Produce"), "sending")),
            new("Idle threads", "percentunit",
                ("kafka_network_socketserver_networkprocessoravgidle_percent{$job}", "network {{instance}}"),
                ("kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent{$job}", "long requests {{instance}}")),
            new("Requests that wait", "short",
                ("sum by (delayedOperation) (kafka_server_delayedoperationpurgatory_purgatorysize{$job})", "{{delayedOperation}}"),
                ("sum(kafka_network_requestchannel_requestqueuesize{$job})", "for a thread")),
            new("Errors", "cps",
                ("sum by (request, error) (rate(kafka_network_requestmetrics_errors_total{$job,error!=\"NONE\"}[$__rate_interval])) > 0",
                    "{{request}} {{error}}")),
            new("Failed writes and reads", "cps",
                (Rate("kafka_server_brokertopicmetrics_failedproducerequests_total{$job,topic=\"\"}", "instance"), "writes {{instance}}"),
                (Rate("kafka_server_brokertopicmetrics_failedfetchrequests_total{$job,topic=\"\"}", "instance"), "reads {{instance}}")),
        ]),
        ("Groups and transactions",
        [
            new("Lag of groups", "short",
                ("topk(20, sum by (consumergroup, topic) (kafka_consumergroup_lag_sum{$job}))", "{{consumergroup}} {{topic}}")),
            new("Groups", "short",
                ("sum by (protocol) (kafka_server_group_coordinator_metrics_group_count{$job})", "{{protocol}}")),
            new("Longest open transaction", "ms",
                ("kafka_server_transaction_coordinator_metrics_active_transaction_total_time_max{$job}", "{{instance}}")),
        ]),
        ("Replicas and metadata",
        [
            new("Leaders", "short", ("kafka_server_replicamanager_leadercount{$job}", "{{instance}}")),
            new("ISR changes", "cps",
                (Rate("kafka_server_replicamanager_isrshrinks_total{$job}", "instance"), "left {{instance}}"),
                (Rate("kafka_server_replicamanager_isrexpands_total{$job}", "instance"), "joined {{instance}}")),
            new("Replica furthest behind", "short", ("kafka_server_replicafetchermanager_maxlag{$job}", "{{instance}}")),
            new("Brokers", "short",
                ("max(kafka_controller_kafkacontroller_activebrokercount{$job})", "active"),
                ("max(kafka_controller_kafkacontroller_fencedbrokercount{$job})", "fenced")),
            new("Epoch of the quorum", "short", ("kafka_server_raft_metrics_current_epoch{$job}", "{{instance}}")),
            new("Metadata not taken over yet", "short", ("kafka_server_metadataloader_lag{$job}", "{{instance}}")),
        ]),
        ("Machines",
        [
            new("Free disk space", "percentunit",
                ("ottla_log_directory_free_bytes{$job} / ottla_log_directory_size_bytes{$job}", "{{instance}} {{logDirectory}}")),
            new("Processor", "short", (Rate("process_cpu_seconds_total{$job}", "instance"), "{{instance}}")),
            new("Memory", "bytes", ("process_resident_memory_bytes{$job}", "{{instance}}")),
            new("Open files", "short", ("process_open_fds{$job}", "{{instance}}")),
            new("Pauses of garbage collection", "s", (Rate("dotnet_gc_pause_seconds_total{$job}", "instance"), "{{instance}}")),
            new("Failed logins", "cps",
                (Rate("kafka_server_socket_server_metrics_failed_authentication_total{$job}", "instance, listener"),
                    "{{instance}} {{listener}}")),
        ]),
    ];

    /// <summary>The dashboard, in Grafana's JSON.</summary>
    public static string Write()
    {
        var buffer = new ArrayBufferWriter<byte>();
        var options = new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var json = new Utf8JsonWriter(buffer, options))
            Write(json);
        return Encoding.UTF8.GetString(buffer.WrittenSpan) + "\n";
    }

    private static Panel Number(string title, string expression) => new(title, "none", (expression, "")) { IsNumber = true };

    private static string Rate(string series, string by) => $"sum by ({by}) (rate({series}[$__rate_interval]))";

    private static string Slowest(string part, string request) =>
        $"max(kafka_network_requestmetrics_{part}{{$job,request=\"{request}\",quantile=\"0.99\"}})";

    private static void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("uid", "ottla");
        json.WriteString("title", "Ottla");
        json.WriteString("description", "A cluster of Ottla. Made by `ottla generate grafana`.");
        json.WriteNumber("schemaVersion", 38);
        json.WriteBoolean("editable", true);
        json.WriteString("refresh", "30s");
        json.WriteStartObject("time");
        json.WriteString("from", "now-1h");
        json.WriteString("to", "now");
        json.WriteEndObject();
        WriteVariables(json);
        json.WriteStartArray("panels");
        var (id, y) = (1, 0);
        foreach (var (title, panels) in Rows)
        {
            WriteRow(json, id++, y++, title);
            var x = 0;
            foreach (var panel in panels)
            {
                var (width, height) = panel.IsNumber ? (NumberWidth, NumberHeight) : (GraphWidth, GraphHeight);
                if (x + width > Columns)
                    (x, y) = (0, y + height);
                WritePanel(json, panel, id++, (x, y, width, height));
                x += width;
            }

            y += panels[0].IsNumber ? NumberHeight : GraphHeight;
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteVariables(Utf8JsonWriter json)
    {
        json.WriteStartObject("templating");
        json.WriteStartArray("list");
        json.WriteStartObject();
        json.WriteString("name", "datasource");
        json.WriteString("label", "Prometheus");
        json.WriteString("type", "datasource");
        json.WriteString("query", "prometheus");
        json.WriteEndObject();
        json.WriteStartObject();
        json.WriteString("name", "job");
        json.WriteString("label", "Job");
        json.WriteString("type", "query");
        WriteSource(json);
        json.WriteString("query", "label_values(kafka_server_raft_metrics_current_epoch, job)");
        json.WriteNumber("refresh", 2);
        json.WriteBoolean("includeAll", false);
        json.WriteEndObject();
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteSource(Utf8JsonWriter json)
    {
        json.WriteStartObject("datasource");
        json.WriteString("type", "prometheus");
        json.WriteString("uid", "${datasource}");
        json.WriteEndObject();
    }

    private static void WriteRow(Utf8JsonWriter json, int id, int y, string title)
    {
        json.WriteStartObject();
        json.WriteNumber("id", id);
        json.WriteString("type", "row");
        json.WriteString("title", title);
        json.WriteBoolean("collapsed", false);
        WritePlace(json, (0, y, Columns, 1));
        json.WriteStartArray("panels");
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WritePanel(Utf8JsonWriter json, Panel panel, int id, (int X, int Y, int Width, int Height) place)
    {
        json.WriteStartObject();
        json.WriteNumber("id", id);
        json.WriteString("type", panel.IsNumber ? "stat" : "timeseries");
        json.WriteString("title", panel.Title);
        WriteSource(json);
        WritePlace(json, place);
        json.WriteStartObject("fieldConfig");
        json.WriteStartObject("defaults");
        json.WriteString("unit", panel.Unit);
        if (panel.IsNumber)
            WriteColours(json, panel.Good);
        else
            json.WriteNumber("min", 0);
        json.WriteEndObject();
        json.WriteStartArray("overrides");
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteStartArray("targets");
        for (var i = 0; i < panel.Queries.Count; i++)
        {
            var (expression, legend) = panel.Queries[i];
            json.WriteStartObject();
            json.WriteString("refId", ((char)('A' + i)).ToString());
            WriteSource(json);
            json.WriteString("expr", expression.Replace("$job", Job, StringComparison.Ordinal));
            json.WriteString("legendFormat", legend);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Green for the one good value, red for what is above and below.</summary>
    private static void WriteColours(Utf8JsonWriter json, int good)
    {
        json.WriteStartObject("thresholds");
        json.WriteString("mode", "absolute");
        json.WriteStartArray("steps");
        Step("red", null);
        Step("green", good);
        Step("red", good + 1);
        json.WriteEndArray();
        json.WriteEndObject();

        void Step(string colour, int? from)
        {
            json.WriteStartObject();
            json.WriteString("color", colour);
            if (from is { } value)
                json.WriteNumber("value", value);
            else
                json.WriteNull("value");
            json.WriteEndObject();
        }
    }

    private static void WritePlace(Utf8JsonWriter json, (int X, int Y, int Width, int Height) place)
    {
        json.WriteStartObject("gridPos");
        json.WriteNumber("x", place.X);
        json.WriteNumber("y", place.Y);
        json.WriteNumber("w", place.Width);
        json.WriteNumber("h", place.Height);
        json.WriteEndObject();
    }
}
