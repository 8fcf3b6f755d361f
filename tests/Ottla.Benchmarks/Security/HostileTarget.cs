using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Scenarios;
using Ottla.Benchmarks.Targets;

namespace Ottla.Benchmarks.Security;

/// <summary>The listeners of a broker that is attacked.</summary>
/// <param name="Clear">Without a login.</param>
/// <param name="Login">With a login in clear text.</param>
/// <param name="Tls">With a login over TLS.</param>
internal sealed record HostilePorts(int Clear, int Login, int Tls);

/// <summary>A broker process that is attacked, with a topic for ordinary clients. Lives as long as the bench.</summary>
internal sealed class HostileTarget : IDisposable
{
    public const string Topic = "ordinary";

    private const string PlainModule = "org.apache.kafka.common.security.plain.PlainLoginModule";
    private const string UnsecuredTokens =
        "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler";

    private readonly StartedTarget _broker;

    /// <summary>Starts the broker.</summary>
    public HostileTarget(BenchOptions options, string directory, BenchCertificate certificate)
    {
        var (login, tls) = (TargetLauncher.FreePort(), TargetLauncher.FreePort());
        _broker = TargetLauncher.ForBroker(
            options with { Settings = [.. Settings(certificate), .. options.Settings] }, directory,
            $",SASL_PLAINTEXT://127.0.0.1:{login},SASL_SSL://127.0.0.1:{tls}").Start(out _);
        Ports = new HostilePorts(_broker.Port, login, tls);
        _broker.Admin.CreateTopic(Topic, ScenarioCatalog.Partitions);
    }

    public HostilePorts Ports { get; }

    /// <summary><inheritdoc cref="ProcessUsage.CpuSeconds" path="/summary"/></summary>
    public double CpuSeconds => ProcessUsage.CpuSeconds(_broker.ProcessId);

    /// <summary>Resident bytes now.</summary>
    public long ResidentBytes => ProcessUsage.ResidentBytes(_broker.ProcessId);

    /// <summary>The most resident bytes since <see cref="ResetPeak"/>.</summary>
    public long PeakBytes => ProcessUsage.PeakResidentBytes(_broker.ProcessId);

    /// <summary>Forgets the most resident bytes so far.</summary>
    public void ResetPeak() => ProcessUsage.ResetPeak(_broker.ProcessId);

    /// <summary><inheritdoc cref="Target.NextRuntimeSample" path="/summary"/></summary>
    public RuntimeSample? NextRuntimeSample() => _broker.NextRuntimeSample();

    public void Dispose() => _broker.Dispose();

    private static string[] Settings(BenchCertificate certificate)
    {
        string[] listeners = ["sasl_plaintext", "sasl_ssl"];
        return
        [
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            "ssl.keystore.type=PEM",
            $"listener.name.sasl_ssl.ssl.keystore.location={certificate.File}",
            .. listeners.Select(listener => $"listener.name.{listener}.plain.sasl.jaas.config={PlainModule} required "
                + $"user_{LoginFrames.User}=\"{LoginFrames.Password}\";"),
            .. listeners.Select(listener => $"listener.name.{listener}.oauthbearer.sasl.server.callback.handler.class={UnsecuredTokens}"),
        ];
    }
}
