using System.Globalization;
using System.Text;

namespace Ottla.Cli.Generate;

/// <summary>
/// Writes what runs a cluster in containers: files for Docker Compose and for Kubernetes. All nodes are controllers and brokers, and format
/// their own empty volumes: they have the id of the cluster and the list of voters.
/// </summary>
/// <param name="image">The image: one whose entry point is the executable.</param>
/// <param name="nodes">How many nodes there are.</param>
/// <param name="clusterId">The id of the cluster.</param>
internal sealed class ClusterFiles(string image, int nodes, string clusterId)
{
    /// <summary>A cluster has more controllers than that only to be slower.</summary>
    public const int NodesMax = 7;

    private const int BrokerPort = 9092;
    private const int ControllerPort = 9093;
    private const int ClientPort = 9094;
    private const int MonitoringPort = 9404;

    /// <summary>Topics have a replica on as many nodes.</summary>
    private int Replicas => Math.Min(nodes, 3);

    /// <summary>A cluster on one machine. Clients on it reach node N on port 9094 + N - 1, containers reach node-N:9092.</summary>
    public string WriteCompose()
    {
        var text = new StringBuilder(
            """
            # A cluster of Ottla on one machine: docker compose up -d
            # Clients on this machine: localhost:9094. Clients in containers of the same network: node-1:9092. Nothing is encrypted.

            """);
        text.Append("x-node: &node\n  image: ").Append(image).Append('\n');
        text.Append("  command: [\"start\"]\n  restart: unless-stopped\n  stop_grace_period: 5m\n");
        text.Append("  ulimits:\n    nofile: 1000000\n\nservices:\n");
        for (var node = 1; node <= nodes; node++)
        {
            text.Append(CultureInfo.InvariantCulture, $"  node-{node}:\n    <<: *node\n    environment:\n");
            foreach (var (name, value) in ComposeEnvironment(node))
                text.Append(CultureInfo.InvariantCulture, $"      {name}: \"{value}\"\n");
            text.Append(CultureInfo.InvariantCulture, $"    ports: [\"{ClientPort + node - 1}:{ClientPort}\"]\n");
            text.Append(CultureInfo.InvariantCulture, $"    volumes: [\"data-{node}:/data\"]\n");
        }

        text.Append("\nvolumes:\n");
        for (var node = 1; node <= nodes; node++)
            text.Append(CultureInfo.InvariantCulture, $"  data-{node}: {{}}\n");
        return text.ToString();
    }

    /// <summary>The variables of a node in Compose.</summary>
    internal IReadOnlyList<(string Name, string Value)> ComposeEnvironment(int node)
    {
        var id = node.ToString(CultureInfo.InvariantCulture);
        return
        [
            ("KAFKA_NODE_ID", id),
            .. Common(string.Join(',', Enumerable.Range(1, nodes).Select(each => $"{each}@node-{each}:{ControllerPort}"))),
            ("KAFKA_LISTENERS", $"PLAINTEXT://:{BrokerPort},CLIENTS://:{ClientPort},CONTROLLER://:{ControllerPort}"),
            ("KAFKA_ADVERTISED_LISTENERS",
                $"PLAINTEXT://node-{id}:{BrokerPort},CLIENTS://localhost:{ClientPort + node - 1},CONTROLLER://node-{id}:{ControllerPort}"),
            ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "PLAINTEXT:PLAINTEXT,CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT"),
        ];
    }

    /// <summary>A StatefulSet with its services, its budget for disruptions, and probes.</summary>
    public string WriteKubernetes()
    {
        var voters = string.Join(',', Enumerable.Range(0, nodes).Select(node => $"{node}@ottla-{node}.ottla-nodes:{ControllerPort}"));
        var environment = new StringBuilder();
        foreach (var (name, value) in Common(voters))
            environment.Append(CultureInfo.InvariantCulture, $"\n            - {{name: {name}, value: \"{value}\"}}");
        return $$$$"""
            # A cluster of Ottla on Kubernetes 1.28 or later: kubectl apply -f FILE
            # Clients inside: ottla:{{{{BrokerPort}}}}. Nothing is encrypted: see docs/security.md before you let others in.
            apiVersion: v1
            kind: Service
            metadata: {name: ottla-nodes, labels: {app: ottla}}
            spec:
              clusterIP: None
              publishNotReadyAddresses: true # controllers must find each other before they are ready
              selector: {app: ottla}
              ports:
                - {name: broker, port: {{{{BrokerPort}}}}}
                - {name: controller, port: {{{{ControllerPort}}}}}
                - {name: metrics, port: {{{{MonitoringPort}}}}}
            ---
            apiVersion: v1
            kind: Service
            metadata: {name: ottla, labels: {app: ottla}}
            spec:
              selector: {app: ottla}
              ports:
                - {name: broker, port: {{{{BrokerPort}}}}}
            ---
            apiVersion: policy/v1
            kind: PodDisruptionBudget
            metadata: {name: ottla}
            spec:
              maxUnavailable: 1
              selector: {matchLabels: {app: ottla}}
            ---
            apiVersion: apps/v1
            kind: StatefulSet
            metadata: {name: ottla, labels: {app: ottla}}
            spec:
              serviceName: ottla-nodes
              replicas: {{{{nodes}}}}
              podManagementPolicy: Parallel # the first node is ready only when there is a majority
              selector: {matchLabels: {app: ottla}}
              template:
                metadata:
                  labels: {app: ottla}
                  annotations: {prometheus.io/scrape: "true", prometheus.io/port: "{{{{MonitoringPort}}}}"}
                spec:
                  terminationGracePeriodSeconds: 300
                  securityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001}
                  affinity:
                    podAntiAffinity:
                      preferredDuringSchedulingIgnoredDuringExecution:
                        - weight: 100
                          podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: ottla}}}
                  containers:
                    - name: ottla
                      image: {{{{image}}}}
                      args: ["start", "--log-format", "json"]
                      env:
                        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
                        - {name: KAFKA_NODE_ID, valueFrom: {fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}}}{{{{environment}}}}
                        - {name: KAFKA_LISTENERS, value: "PLAINTEXT://:{{{{BrokerPort}}}},CONTROLLER://:{{{{ControllerPort}}}}"}
                        - name: KAFKA_ADVERTISED_LISTENERS
                          value: "PLAINTEXT://$(POD_NAME).ottla-nodes:{{{{BrokerPort}}}},CONTROLLER://$(POD_NAME).ottla-nodes:{{{{ControllerPort}}}}"
                        - {name: KAFKA_LISTENER_SECURITY_PROTOCOL_MAP, value: "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"}
                      ports:
                        - {name: broker, containerPort: {{{{BrokerPort}}}}}
                        - {name: controller, containerPort: {{{{ControllerPort}}}}}
                        - {name: metrics, containerPort: {{{{MonitoringPort}}}}}
                      startupProbe: {httpGet: {path: /healthz, port: metrics}, periodSeconds: 2, failureThreshold: 150}
                      livenessProbe: {httpGet: {path: /healthz, port: metrics}, periodSeconds: 10, failureThreshold: 6}
                      readinessProbe: {httpGet: {path: /readyz, port: metrics}, periodSeconds: 5}
                      resources: {requests: {cpu: "1", memory: 1Gi}}
                      volumeMounts: [{name: data, mountPath: /data}]
              volumeClaimTemplates:
                - metadata: {name: data}
                  spec:
                    accessModes: [ReadWriteOnce]
                    resources: {requests: {storage: 100Gi}}

            """;
    }

    private IEnumerable<(string Name, string Value)> Common(string voters)
    {
        var replicas = Replicas.ToString(CultureInfo.InvariantCulture);
        var inSync = Math.Max(Replicas - 1, 1).ToString(CultureInfo.InvariantCulture);
        return
        [
            ("CLUSTER_ID", clusterId),
            ("KAFKA_PROCESS_ROLES", "broker,controller"),
            ("KAFKA_CONTROLLER_QUORUM_VOTERS", voters),
            ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
            ("KAFKA_LOG_DIRS", "/data/log"),
            ("KAFKA_DEFAULT_REPLICATION_FACTOR", replicas),
            ("KAFKA_MIN_INSYNC_REPLICAS", inSync),
            ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", replicas),
            ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", replicas),
            ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", inSync),
            ("KAFKA_OTTLA_MONITORING_LISTENER", $"0.0.0.0:{MonitoringPort}"),
        ];
    }
}
