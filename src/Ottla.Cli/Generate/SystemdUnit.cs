namespace Ottla.Cli.Generate;

/// <summary>Writes a unit of systemd that runs a node.</summary>
internal static class SystemdUnit
{
    /// <summary>The unit.</summary>
    /// <param name="executable">The path of the executable.</param>
    /// <param name="config">The path of the node's server.properties.</param>
    /// <param name="data">The directory with the node's data.</param>
    public static string Write(string executable, string config, string data) =>
        $"""
        # A node of Ottla. Put it into /etc/systemd/system/ottla.service, then:
        #   useradd --system --home-dir {data} ottla && install -d -o ottla -g ottla {data}
        #   sudo -u ottla {executable} format --config {config} --cluster-id ID --standalone   # or --initial-controllers, once
        #   systemctl daemon-reload && systemctl enable --now ottla
        [Unit]
        Description=Ottla, a node of a Kafka cluster
        Documentation=https://kafka.apache.org/documentation/
        Wants=network-online.target
        After=network-online.target

        [Service]
        User=ottla
        Group=ottla
        ExecStart={executable} start --config {config}
        # SIGTERM: it hands its leaderships over, answers what is under way, and flushes.
        TimeoutStopSec=5min
        Restart=on-failure
        RestartSec=5s
        # A mistake in the configuration does not go away by itself.
        RestartPreventExitStatus=2
        LimitNOFILE=1000000
        # The last to be ended when memory is short: other nodes would have to do its work.
        OOMScoreAdjust=-500
        NoNewPrivileges=yes
        ProtectSystem=strict
        ProtectHome=yes
        PrivateTmp=yes
        PrivateDevices=yes
        ProtectKernelTunables=yes
        ProtectKernelModules=yes
        ProtectControlGroups=yes
        RestrictSUIDSGID=yes
        ReadWritePaths={data}

        [Install]
        WantedBy=multi-user.target

        """;
}
