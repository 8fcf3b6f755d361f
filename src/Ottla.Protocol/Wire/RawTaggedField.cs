namespace Ottla.Protocol.Wire;

/// <summary>A tagged field (KIP-482) that the schema does not have.</summary>
/// <param name="Tag">Its number.</param>
/// <param name="Data">Its bytes, unchanged.</param>
public readonly record struct RawTaggedField(uint Tag, byte[] Data);
