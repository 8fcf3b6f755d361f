using Ottla.Protocol.Messages;

namespace Ottla.Protocol.Metadata;

/// <summary>A record of the metadata log with the version in which it is written.</summary>
/// <param name="Message">The record.</param>
/// <param name="Version">The version of its schema.</param>
public readonly record struct MetadataRecord(IRecordMessage Message, short Version);
