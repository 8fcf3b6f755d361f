namespace Ottla.StateMachines.Metadata;

/// <summary>A metadata record that cannot be applied: of an unknown type or version, or about something that does not exist.</summary>
/// <remarks>Whoever reads the metadata log must stop at it: an image that skipped a record is wrong from then on.</remarks>
public sealed class MetadataException : Exception
{
    /// <summary>Says what is wrong with the record.</summary>
    public MetadataException(string message)
        : base(message)
    {
    }
}
