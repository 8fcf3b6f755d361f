using Ottla.Protocol.Messages;

namespace Ottla.Protocol.Metadata;

/// <summary>A record of the metadata log, and the version it is (or is to be) written at.</summary>
/// <param name="Message">The record.</param>
/// <param name="Version">The version of its schema.</param>
public readonly record struct MetadataRecord(IRecordMessage Message, short Version);
