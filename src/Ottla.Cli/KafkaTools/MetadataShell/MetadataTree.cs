using System.Globalization;
using Ottla.Cli.Commands;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Kernel;
using Ottla.Protocol.Sasl;
using Ottla.StateMachines.Metadata;
using static Ottla.Cli.KafkaTools.MetadataShell.MetadataNode;

namespace Ottla.Cli.KafkaTools.MetadataShell;

/// <summary>A metadata image as a tree of files, with Kafka's names.</summary>
internal static class MetadataTree
{
    private const string DefaultQuotaName = "<default>";

    /// <summary>The parts of a quota's entity in the order of Kafka's name for it.</summary>
    private static readonly (string Type, string Label)[] QuotaParts = [("client-id", "clientId"), ("ip", "ip"), ("user", "user")];

    /// <summary>Makes the tree of an image.</summary>
    public static MetadataNode Of(MetadataImage image) => Directory(() =>
    [
        ("image", Directory(() =>
        [
            ("acls", Directory(() => [("byId", Directory(() => image.Acls.ById.Values.Select(
                acl => (acl.Id.ToString(), File(() => RegistrationText.Of(acl))))))])),
            ("clientQuotas", Directory(() => ClientQuotas(image.ClientQuotas))),
            ("cluster", Directory(() => Cluster(image.Cluster))),
            ("configs", Directory(() => Configs(image.Configs))),
            ("delegationToken", Directory(() => image.DelegationTokens.ById.Values.Select(
                token => (token.TokenId, File(() => RegistrationText.Of(token)))))),
            ("features", Directory(() => Features(image.Features))),
            ("producerIds", Directory(() => [("nextProducerId", Number(image.NextProducerId))])),
            ("provenance", File(() => RegistrationText.Of(image.Provenance))),
            ("scram", Directory(() => Scram(image.Scram))),
            ("topics", Directory(() =>
            [
                ("byId", Directory(() => image.Topics.ById.Values.Select(topic => (topic.Id.ToString(), Topic(topic))))),
                ("byName", Directory(() => image.Topics.ByName.Values.Select(topic => (topic.Name, Topic(topic))))),
            ])),
        ])),
        ("local", Directory(() =>
        [
            ("commitId", File(() => VersionCommand.CommitId)),
            ("version", File(() => JoptTool.KafkaVersion)),
        ])),
    ]);

    private static MetadataNode Number(long value) => File(() => value.ToString(CultureInfo.InvariantCulture));

    private static IEnumerable<(string Name, MetadataNode Node)> Features(FeaturesImage features)
    {
        yield return ("metadataVersion", File(
            () => features.MetadataVersion is { } version ? $"Optional[{version}]" : "Optional.empty"));
        foreach (var (name, level) in features.Levels)
            yield return ($"finalized_{name}", Number(level));
    }

    private static IEnumerable<(string Name, MetadataNode Node)> Cluster(ClusterImage cluster) =>
    [
        ("brokers", Directory(() => cluster.Brokers.Values.Select(broker => ($"{broker.Id}", File(() => RegistrationText.Of(broker)))))),
        ("controllers", Directory(() => cluster.Controllers.Values.Select(
            controller => ($"{controller.Id}", File(() => RegistrationText.Of(controller)))))),
    ];

    private static MetadataNode Topic(TopicImage topic) => Directory(() => topic.Partitions
        .Select((partition, index) => ($"{index}", File(() => RegistrationText.Of(partition))))
        .Append(("id", File(() => topic.Id.ToString()))).Append(("name", File(() => topic.Name))));

    private static IEnumerable<(string Name, MetadataNode Node)> Configs(ConfigsImage configs) => configs.ByResource.Select(resource => (
        resource.Key.Name.Length == 0 ? JavaEnums.Of(resource.Key.Type) : $"{JavaEnums.Of(resource.Key.Type)}:{resource.Key.Name}",
        Directory(() => resource.Value.Select(config => (config.Key, File(() => config.Value))))));

    private static IEnumerable<(string Name, MetadataNode Node)> ClientQuotas(ClientQuotasImage quotas) =>
        quotas.ByEntity.Select(entity => (
            NameOf(entity.Key),
            Directory(() => entity.Value.Select(quota => (quota.Key, File(() => JavaNumbers.Of(quota.Value)))))));

    private static string NameOf(ClientQuotaEntity entity) => string.Join(
        '_', QuotaParts.Where(part => entity.Parts.ContainsKey(part.Type)).Select(
            part => $"{part.Label}({Escaped(entity.Parts[part.Type] ?? DefaultQuotaName)})"));

    private static string Escaped(string name) => name.Replace(@"\", @"\\", StringComparison.Ordinal)
        .Replace("(", @"\(", StringComparison.Ordinal).Replace(")", @"\)", StringComparison.Ordinal);

    private static IEnumerable<(string Name, MetadataNode Node)> Scram(ScramImage scram) =>
        new[] { ScramMechanism.Sha256, ScramMechanism.Sha512 }.Select(mechanism => (mechanism.Name, Directory(() => scram.ByUser
            .Where(credential => credential.Key.Mechanism == mechanism.Number)
            .Select(credential => (credential.Key.User, File(() => RegistrationText.Of(credential.Value)))))));
}
