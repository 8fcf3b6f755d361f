using Ottla.Cli.KafkaTools.MetadataShell;
using Ottla.Storage.Files;

namespace Ottla.UnitTests.Cli.KafkaTools;

/// <summary>The shell that looks into metadata, on a snapshot that Kafka wrote.</summary>
public sealed class MetadataShellTests
{
    private static readonly Lazy<MetadataNode> Root = new(() => MetadataTree.Of(MetadataFile.Read(
        new RealFileSystem(),
        Path.Combine(GoldenData.CleanDirectory, "__cluster_metadata-0", "00000000000000000178-0000000002.checkpoint"))));

    [Fact]
    public void A_working_directory_counts_for_the_commands_that_follow() => Assert.Equal(
        "/image/topics\nbyId\nbyName\n0\ncat: name: No such file or directory.\ntxn\n",
        Run(0, "cd /image/topics/byName", "cd ..", "pwd", "ls", "ls byName/compacted/0", "cat name", "cat ./byName/txn/name"));

    [Theory]
    [InlineData("ls /image/topics/byName/{plain,txn}/id", "id\nid\n")]
    [InlineData("ls /image/topics/byName/t?n", "0\nid\nname\n")]
    [InlineData(@"ls /image/topics/byName/t\?n", "ls: /image/topics/byName/t\\?n: no such file or directory.\n")]
    [InlineData("ls /image/../local/..", "image\nlocal\n")]
    [InlineData("ls {image", "ls: {image: no such file or directory.\n")]
    public void Patterns_and_dots_are_resolved(string command, string output) => Assert.Equal(output, Run(0, command));

    [Fact]
    public void Names_stand_in_as_many_columns_as_there_is_room_for() => Assert.Equal(
        "acls          configs          producerIds  topics\nclientQuotas  delegationToken  provenance\n"
            + "cluster       features         scram\n",
        Run(60, "ls /image"));

    [Fact]
    public void A_single_command_cannot_be_one_of_the_shell() =>
        Assert.Equal("invalid choice: 'pwd' (choose from 'cat', 'find', 'ls', 'tree')\n", Run(null, "pwd"));

    [Theory]
    [InlineData("cat", "too few arguments\n")]
    [InlineData("man ls cat", "unrecognized arguments: 'cat'\n")]
    [InlineData("man nope", "man: unknown command nope. Type help to get a list of commands.\n")]
    [InlineData("cd /image/provenance", "cd: /image/provenance: not a directory.\n")]
    [InlineData("history 1", "    0  history 1\n")]
    [InlineData("history x", "history: 'x' is no number of entries.\n")]
    public void A_mistake_is_told(string command, string output) => Assert.Equal(output, Run(0, command));

    [Fact]
    public void A_broker_and_a_credential_are_shown_with_all_that_there_is() => Assert.Equal(
        "BrokerRegistration(id=1, epoch=111, incarnationId=bjLVnqT1Th6vRfGB1lOWZA, listeners=[Endpoint(listenerName='PLAINTEXT', "
            + "securityProtocol=PLAINTEXT, host='127.0.0.1', port=29092)], supportedFeatures={eligible.leader.replicas.version: 0-1, "
            + "group.version: 0-1, kraft.version: 0-1, metadata.version: 7-30, share.version: 0-1, streams.version: 0-1, "
            + "transaction.version: 0-2}, rack=Optional.empty, fenced=false, inControlledShutdown=true, isMigratingZkBroker=false, "
            + "directories=[fQ6xrtJPS9uzrMpDtGCdHA], cordonedDirectories=[])\n1000\n",
        Run(0, "cat /image/cluster/brokers/1", "cat /image/producerIds/nextProducerId"));

    [Fact]
    public void A_file_that_is_cut_ends_at_its_last_whole_batch()
    {
        var path = Path.Combine(GoldenData.CleanCopy(), "__cluster_metadata-0", "00000000000000000000.log");
        using (var file = File.Open(path, FileMode.Open))
            file.SetLength(174 + 447 + 10);
        var image = MetadataFile.Read(new RealFileSystem(), path);
        Assert.Equal(12, image.Provenance.LastOffset);
    }

    private static string Run(int? screenWidth, params string[] commands)
    {
        using var output = new StringWriter { NewLine = "\n" };
        var shell = new ShellCommands(Root.Value, output, screenWidth);
        foreach (var command in commands)
            shell.Run(command.Split(' '));
        return output.ToString();
    }
}
