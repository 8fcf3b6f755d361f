namespace Ottla.StateMachines.Metadata;

/// <summary>A metadata record that cannot be applied: it has an unknown type or version, or names an object that does not exist.</summary>
/// <remarks>A reader of the metadata log must stop at such a record, because an image without the record is wrong from then on.</remarks>
public sealed class MetadataException : Exception
{
    /// <summary>Makes an exception with a message about the record.</summary>
    public MetadataException(string message)
        : base(message)
    {
    }
}
