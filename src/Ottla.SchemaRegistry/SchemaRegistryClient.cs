using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;

namespace Ottla.SchemaRegistry;

/// <summary>Asks a schema registry with Confluent's REST interface, and remembers what it said.</summary>
/// <remarks>
/// Thread-safe. An id never means another schema, and a schema never gets another id of a subject, so answers are kept for good. The
/// caller owns the <see cref="HttpClient"/>, which has the address (<see cref="HttpClient.BaseAddress"/>), time-out and login.
/// </remarks>
/// <param name="http">Sends the requests.</param>
public sealed class SchemaRegistryClient(HttpClient http)
{
    private static readonly MediaTypeHeaderValue ContentType = new("application/vnd.schemaregistry.v1+json");

    private readonly ConcurrentDictionary<int, RegisteredSchema> _byId = [];
    private readonly ConcurrentDictionary<(string Subject, string Type, string Text), int> _ids = [];

    /// <summary>Registers a schema for a subject, or finds the one that is there.</summary>
    /// <returns>Its id.</returns>
    /// <exception cref="SchemaRegistryException">
    /// It is not compatible with what is there (409), not valid (422), or not allowed.
    /// </exception>
    public async Task<int> RegisterAsync(string subject, RegisteredSchema schema, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(subject);
        ArgumentNullException.ThrowIfNull(schema);
        return TryGetKnown(subject, schema, out var known)
            ? known
            : Remember(subject, schema, await SendAsync(Registration(subject, schema), cancellation));
    }

    /// <summary>The id of a schema that is registered for a subject.</summary>
    /// <exception cref="SchemaRegistryException">It is not registered (404), or the registry does not answer.</exception>
    public async Task<int> LookUpAsync(string subject, RegisteredSchema schema, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(subject);
        ArgumentNullException.ThrowIfNull(schema);
        return TryGetKnown(subject, schema, out var known)
            ? known
            : Remember(subject, schema, await SendAsync(Lookup(subject, schema), cancellation));
    }

    /// <summary>The schema with an id.</summary>
    /// <exception cref="SchemaRegistryException">There is none (404), or the registry does not answer.</exception>
    public async Task<RegisteredSchema> SchemaAsync(int id, CancellationToken cancellation = default) =>
        _byId.TryGetValue(id, out var known) ? known : Remember(id, await SendAsync(ById(id), cancellation));

    /// <summary>A version of a subject; it is asked for each time.</summary>
    /// <param name="subject">The subject.</param>
    /// <param name="version">The version; null for the latest.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="SchemaRegistryException">There is none (404), or the registry does not answer.</exception>
    public async Task<SubjectVersion> VersionAsync(string subject, int? version = null, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(subject);
        var which = version?.ToString(CultureInfo.InvariantCulture) ?? "latest";
        var answer = await SendAsync(
            new HttpRequestMessage(HttpMethod.Get, $"subjects/{Uri.EscapeDataString(subject)}/versions/{which}"), cancellation);
        return new SubjectVersion(
            answer.Subject ?? subject, answer.Version ?? throw Incomplete("version"), answer.Id ?? throw Incomplete("id"),
            ToSchema(answer));
    }

    /// <summary>
    /// As <see cref="RegisterAsync"/> or <see cref="LookUpAsync"/>, for serializers: waits on the calling thread if it has to.
    /// </summary>
    internal int IdOf(string subject, RegisteredSchema schema, bool registers) =>
        TryGetKnown(subject, schema, out var known)
            ? known
            : Remember(subject, schema, Send(registers ? Registration(subject, schema) : Lookup(subject, schema)));

    /// <summary>As <see cref="SchemaAsync"/>, for deserializers: waits on the calling thread if it has to.</summary>
    internal RegisteredSchema SchemaOf(int id) => _byId.TryGetValue(id, out var known) ? known : Remember(id, Send(ById(id)));

    private static HttpRequestMessage Registration(string subject, RegisteredSchema schema) =>
        new(HttpMethod.Post, $"subjects/{Uri.EscapeDataString(subject)}/versions") { Content = ToContent(schema) };

    private static HttpRequestMessage Lookup(string subject, RegisteredSchema schema) =>
        new(HttpMethod.Post, $"subjects/{Uri.EscapeDataString(subject)}") { Content = ToContent(schema) };

    private static HttpRequestMessage ById(int id) =>
        new(HttpMethod.Get, string.Create(CultureInfo.InvariantCulture, $"schemas/ids/{id}"));

    private static ByteArrayContent ToContent(RegisteredSchema schema)
    {
        var body = new SchemaBody
        {
            Schema = schema.Text,
            SchemaType = schema.Type == RegisteredSchema.Avro ? null : schema.Type, // old registries know Avro only, and no types
            References = schema.References.Count == 0 ? null
                : [.. schema.References.Select(each => new ReferenceBody(each.Name, each.Subject, each.Version))],
        };
        var content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body, RegistryJson.Default.SchemaBody));
        content.Headers.ContentType = ContentType;
        return content;
    }

    private async Task<SchemaBody> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        using (request)
        {
            try
            {
                using var answer = await http.SendAsync(request, cancellation);
                await using var body = await answer.Content.ReadAsStreamAsync(cancellation);
                return Read(answer, body);
            }
            catch (HttpRequestException e)
            {
                throw NoAnswer(e);
            }
        }
    }

    private SchemaBody Send(HttpRequestMessage request)
    {
        using (request)
        {
            try
            {
                using var answer = http.Send(request);
                using var body = answer.Content.ReadAsStream();
                return Read(answer, body);
            }
            catch (HttpRequestException e)
            {
                throw NoAnswer(e);
            }
        }
    }

    private static SchemaBody Read(HttpResponseMessage answer, Stream body)
    {
        SchemaBody? read = null;
        try
        {
            read = JsonSerializer.Deserialize(body, RegistryJson.Default.SchemaBody);
        }
        catch (JsonException e) when (answer.IsSuccessStatusCode)
        {
            throw new SchemaRegistryException((int)answer.StatusCode, 0, $"The schema registry's answer cannot be read: {e.Message}", e);
        }
        catch (JsonException)
        {
            // An error of something between: the status says enough.
        }

        if (!answer.IsSuccessStatusCode || read is null)
        {
            throw new SchemaRegistryException(
                (int)answer.StatusCode, read?.ErrorCode ?? 0,
                $"The schema registry refuses: {(int)answer.StatusCode} {read?.Message ?? answer.ReasonPhrase}");
        }

        return read;
    }

    private bool TryGetKnown(string subject, RegisteredSchema schema, out int id) =>
        _ids.TryGetValue((subject, schema.Type, schema.Text), out id);

    private int Remember(string subject, RegisteredSchema schema, SchemaBody answer)
    {
        var id = answer.Id ?? throw Incomplete("id");
        _ids[(subject, schema.Type, schema.Text)] = id;
        return id;
    }

    private RegisteredSchema Remember(int id, SchemaBody answer) => _byId[id] = ToSchema(answer);

    private static RegisteredSchema ToSchema(SchemaBody answer) => new(
        answer.Schema ?? throw Incomplete("schema"), answer.SchemaType ?? RegisteredSchema.Avro,
        [.. (answer.References ?? []).Select(each => new SchemaReference(each.Name, each.Subject, each.Version))]);

    private static SchemaRegistryException Incomplete(string what) => new(200, 0, $"The schema registry's answer has no {what}.");

    private static SchemaRegistryException NoAnswer(HttpRequestException e) =>
        new((int)(e.StatusCode ?? 0), 0, $"The schema registry does not answer: {e.Message}", e);
}
