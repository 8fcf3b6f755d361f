using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;

namespace Ottla.UnitTests.Raft;

/// <summary>Topic records, which the tests of the metadata log write and find again.</summary>
internal static class RaftHostTopics
{
    public static MetadataRecord Topic(string name) => new(new TopicRecord { Name = name, TopicId = new Uuid(1, 2) }, 0);

    public static IEnumerable<string> Names(IEnumerable<MetadataRecord> records) =>
        records.Select(record => record.Message).OfType<TopicRecord>().Select(topic => topic.Name);
}
