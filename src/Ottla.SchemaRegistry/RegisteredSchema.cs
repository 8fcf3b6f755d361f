namespace Ottla.SchemaRegistry;

/// <summary>A schema that another one imports.</summary>
/// <param name="Name">How the other one names it: a full name (Avro), a file (Protobuf) or a URL (JSON Schema).</param>
/// <param name="Subject">The subject that it is registered for.</param>
/// <param name="Version">Which version of that.</param>
public sealed record SchemaReference(string Name, string Subject, int Version);

/// <summary>A schema for the registry.</summary>
/// <param name="Text">The schema.</param>
/// <param name="Type"><c>AVRO</c>, <c>JSON</c> or <c>PROTOBUF</c>.</param>
/// <param name="References">The schemas that it imports.</param>
public sealed record RegisteredSchema(string Text, string Type, IReadOnlyList<SchemaReference> References)
{
    /// <summary>The type of Avro schemas, which the registry means when none is named.</summary>
    public const string Avro = "AVRO";

    /// <summary>The type of JSON schemas.</summary>
    public const string Json = "JSON";

    /// <summary>The type of Protobuf schemas.</summary>
    public const string Protobuf = "PROTOBUF";

    /// <summary>Makes a schema that imports nothing.</summary>
    /// <param name="text">The schema.</param>
    /// <param name="type"><c>AVRO</c>, <c>JSON</c> or <c>PROTOBUF</c>.</param>
    public RegisteredSchema(string text, string type)
        : this(text, type, [])
    {
    }
}

/// <summary>A version of a subject.</summary>
/// <param name="Subject">The subject.</param>
/// <param name="Version">The version, from 1 on.</param>
/// <param name="Id">The id of the schema.</param>
/// <param name="Schema">The schema.</param>
public sealed record SubjectVersion(string Subject, int Version, int Id, RegisteredSchema Schema);

/// <summary>The registry refused, or did not answer.</summary>
/// <param name="statusCode">The status of HTTP; 0 without an answer.</param>
/// <param name="errorCode">The registry's own code, such as 40401 (no such subject); 0 when it has said none.</param>
/// <param name="message">What it said.</param>
/// <param name="innerException">What was behind it.</param>
public sealed class SchemaRegistryException(int statusCode, int errorCode, string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>The status of HTTP; 0 without an answer.</summary>
    public int StatusCode { get; } = statusCode;

    /// <summary>The registry's own code; 0 when it has said none.</summary>
    public int ErrorCode { get; } = errorCode;
}
