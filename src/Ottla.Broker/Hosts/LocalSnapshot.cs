using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Files;

namespace Ottla.Broker.Hosts;

/// <summary>Reads the newest metadata snapshot of a node before its metadata log is opened.</summary>
internal static class LocalSnapshot
{
    /// <summary>
    /// The dynamic configs that the node knew of when it wrote the snapshot, as Kafka's starts with: what is opened before the metadata log
    /// is read goes by them. None without a snapshot, or with one that cannot be read: the metadata log has its say about that.
    /// </summary>
    /// <param name="fileSystem">The disk.</param>
    /// <param name="metadataDirectory">The log directory that holds the metadata log.</param>
    public static ConfigsImage ReadConfigs(IFileSystem fileSystem, string metadataDirectory)
    {
        var directory = Path.Combine(metadataDirectory, RaftBootstrap.Partition.ToString());
        try
        {
            if (!fileSystem.DirectoryExists(directory) || FindNewest(fileSystem, directory) is not { } id)
                return ConfigsImage.Empty;
            using var file = fileSystem.Open(Path.Combine(directory, MetadataSnapshotFiles.NameOf(id)), FileOpenMode.ReadExisting);
            var snapshot = MetadataSnapshotFiles.Read(file, MetadataSnapshotFiles.NameOf(id), controlOnly: false);
            return MetadataImage.Empty
                .Apply(snapshot.Records.Where(record => record.Message is ConfigRecord), 0, MetadataProvenance.Empty).Configs;
        }
        catch (Exception e) when (e is ProtocolException or IOException)
        {
            return ConfigsImage.Empty;
        }
    }

    private static LogPosition? FindNewest(IFileSystem fileSystem, string directory)
    {
        LogPosition? newest = null;
        foreach (var name in fileSystem.ListFiles(directory))
        {
            if (MetadataSnapshotFiles.TryParse(name, out var id) && (newest is null || id > newest))
                newest = id;
        }

        return newest;
    }
}
