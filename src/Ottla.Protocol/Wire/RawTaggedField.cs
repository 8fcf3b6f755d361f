namespace Ottla.Protocol.Wire;

/// <summary>A tagged field (KIP-482) that the schema does not know.</summary>
/// <param name="Tag">Its number.</param>
/// <param name="Data">Its bytes, as they came.</param>
public readonly record struct RawTaggedField(uint Tag, byte[] Data);
