using System.Buffers;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Avro;
using Avro.Generic;
using Google.Protobuf.WellKnownTypes;
using Ottla.Client;
using Ottla.SchemaRegistry;
using Ottla.SchemaRegistry.Avro;
using Ottla.SchemaRegistry.Json;
using Ottla.SchemaRegistry.Protobuf;

namespace Ottla.UnitTests.Client;

/// <summary>Serializers with a schema registry, which is an HTTP service in this process.</summary>
public sealed class SchemaRegistryTests
{
    private const string OrderSchema =
        """{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"int"},{"name":"what","type":"string"}]}""";

    private static readonly SerializationContext Value = new("orders", IsKey: false);

    [Fact]
    public void Json_has_the_id_of_its_schema_before_it()
    {
        using var http = new TestRegistry().ToClient();
        var registry = new SchemaRegistryClient(http);
        var schema = new RegisteredSchema("""{"type":"object"}""", RegisteredSchema.Json);
        var serializer = new JsonSchemaSerializer<TestOrder>(registry, schema, TestOrderJson.Default.TestOrder);
        var bytes = Serialize(serializer, new TestOrder(7, "tea"));
        Assert.Equal([0, 0, 0, 0, 1], bytes[..5]);
        Assert.Equal("""{"Id":7,"What":"tea"}""", Encoding.UTF8.GetString(bytes.AsSpan(5)));
        var deserializer = new JsonSchemaDeserializer<TestOrder>(TestOrderJson.Default.TestOrder);
        Assert.Equal(new TestOrder(7, "tea"), deserializer.Deserialize(bytes, Value));
        Assert.Throws<FormatException>(() => deserializer.Deserialize("{}"u8.ToArray(), Value));
    }

    [Fact]
    public void Avro_is_read_with_the_schema_of_its_writer()
    {
        var service = new TestRegistry();
        using var http = service.ToClient();
        var schema = (RecordSchema)Schema.Parse(OrderSchema);
        var record = new GenericRecord(schema);
        record.Add("id", 7);
        record.Add("what", "tea");
        var serializer = new AvroSerializer(new SchemaRegistryClient(http));
        var bytes = Serialize(serializer, record);
        Assert.Equal([0, 0, 0, 0, 1, 14, 6, (byte)'t', (byte)'e', (byte)'a'], bytes);
        Assert.Equal(bytes, Serialize(serializer, record));
        Assert.Equal(["POST /subjects/orders-value/versions"], service.Requests);

        var reader = new AvroDeserializer(new SchemaRegistryClient(http));
        var read = reader.Deserialize(bytes, Value);
        Assert.Equal((7, "tea"), ((int)read["id"], (string)read["what"]));
        reader.Deserialize(bytes, Value);
        Assert.Equal(["POST /subjects/orders-value/versions", "GET /schemas/ids/1"], service.Requests);

        var newer = (RecordSchema)Schema.Parse(OrderSchema.Replace(
            "]}", """,{"name":"paid","type":"boolean","default":true}]}""", StringComparison.Ordinal));
        Assert.True((bool)new AvroDeserializer(new SchemaRegistryClient(http), newer).Deserialize(bytes, Value)["paid"]);
    }

    [Fact]
    public void Protobuf_says_which_message_of_its_file_it_is()
    {
        var service = new TestRegistry();
        using var http = service.ToClient();
        var registry = new SchemaRegistryClient(http);
        var first = Serialize(new ProtobufSerializer<Duration>(registry), new Duration { Seconds = 5 });
        Assert.Equal([0, 0, 0, 0, 1, 0, 8, 5], first); // the first message of its file
        var third = Serialize(new ProtobufSerializer<Int64Value>(registry), new Int64Value { Value = 5 });
        Assert.Equal([0, 0, 0, 0, 2, 2, 4, 8, 5], third); // one index, and it is 2
        Assert.Equal(5, new ProtobufDeserializer<Duration>().Deserialize(first, Value).Seconds);
        Assert.Equal(5, new ProtobufDeserializer<Int64Value>().Deserialize(third, Value).Value);
        Assert.Throws<FormatException>(() => new ProtobufDeserializer<Duration>().Deserialize(first.AsMemory(0, 5), Value));
    }

    [Fact]
    public async Task Asks_once_and_ahead_if_it_is_told_to()
    {
        var service = new TestRegistry();
        using var http = service.ToClient();
        var serializer = new AvroSerializer(
            new SchemaRegistryClient(http), new SchemaSerializerOptions { SubjectNames = SubjectNameStrategy.TopicAndRecord });
        var schema = (RecordSchema)Schema.Parse(OrderSchema);
        await serializer.IdsOf(schema).PrepareAsync(Value);
        Assert.Equal(["POST /subjects/orders-shop.Order/versions"], service.Requests);
        service.IsAway = true;
        var record = new GenericRecord(schema);
        record.Add("id", 1);
        record.Add("what", "");
        Assert.Equal(1, WireFormat.ReadId(Serialize(serializer, record)));
    }

    [Fact]
    public async Task Says_why_the_registry_refuses()
    {
        var service = new TestRegistry();
        using var http = service.ToClient();
        var registry = new SchemaRegistryClient(http);
        var schema = new RegisteredSchema("{}", RegisteredSchema.Json);
        var error = await Assert.ThrowsAsync<SchemaRegistryException>(() => registry.LookUpAsync("nobody", schema));
        Assert.Equal((404, 40401), (error.StatusCode, error.ErrorCode));
        error = await Assert.ThrowsAsync<SchemaRegistryException>(() => registry.SchemaAsync(99));
        Assert.Equal((404, 40403), (error.StatusCode, error.ErrorCode));
        service.IsAway = true;
        error = await Assert.ThrowsAsync<SchemaRegistryException>(() => registry.RegisterAsync("a", schema));
        Assert.Equal(0, error.StatusCode);
        service.IsAway = false;
        Assert.Equal(1, await registry.RegisterAsync("a", schema));
        Assert.Equal((1, 1), ((await registry.VersionAsync("a")).Version, (await registry.VersionAsync("a", 1)).Id));
    }

    private static byte[] Serialize<T>(ISerializer<T> serializer, T value)
    {
        var output = new ArrayBufferWriter<byte>();
        serializer.Serialize(value, output, Value);
        return output.WrittenSpan.ToArray();
    }

    /// <summary>What a registry does with schemas, without looking into them.</summary>
    private sealed class TestRegistry : HttpMessageHandler
    {
        private readonly List<JsonNode> _schemas = [];
        private readonly Dictionary<string, List<int>> _subjects = [];

        public List<string> Requests { get; } = [];

        public bool IsAway { get; set; }

        public HttpClient ToClient() => new(this) { BaseAddress = new Uri("http://registry/") };

        protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (IsAway)
                throw new HttpRequestException("nobody listens");
            var path = request.RequestUri!.AbsolutePath;
            Requests.Add($"{request.Method} {path}");
            var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
            return parts switch
            {
                ["schemas", "ids", var id] => int.Parse(id, null) is var number && number <= _schemas.Count
                    ? Answer(_schemas[number - 1].DeepClone()) : Refuse(40403, "Schema not found"),
                ["subjects", var subject, "versions"] => Register(subject, Body(request)),
                ["subjects", var subject, "versions", var version] => Version(subject, version),
                ["subjects", var subject] => LookUp(subject, Body(request)),
                _ => Refuse(404, "HTTP 404 Not Found"),
            };
        }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(Send(request, cancellationToken));

        private HttpResponseMessage Register(string subject, JsonNode schema)
        {
            var place = _schemas.FindIndex(known => JsonNode.DeepEquals(known, schema));
            if (place < 0)
            {
                place = _schemas.Count;
                _schemas.Add(schema);
            }

            if (!_subjects.TryGetValue(subject, out var versions))
                _subjects[subject] = versions = [];
            if (!versions.Contains(place))
                versions.Add(place);
            return Answer(new JsonObject { ["id"] = place + 1 });
        }

        private HttpResponseMessage LookUp(string subject, JsonNode schema)
        {
            if (!_subjects.TryGetValue(subject, out var versions))
                return Refuse(40401, "Subject not found");
            var version = versions.FindIndex(place => JsonNode.DeepEquals(_schemas[place], schema));
            return version < 0 ? Refuse(40403, "Schema not found") : Full(subject, version);
        }

        private HttpResponseMessage Version(string subject, string version) => !_subjects.TryGetValue(subject, out var versions)
            ? Refuse(40401, "Subject not found")
            : Full(subject, version == "latest" ? versions.Count - 1 : int.Parse(version, null) - 1);

        private HttpResponseMessage Full(string subject, int version)
        {
            var place = _subjects[subject][version];
            var answer = _schemas[place].DeepClone();
            answer["subject"] = subject;
            answer["version"] = version + 1;
            answer["id"] = place + 1;
            return Answer(answer);
        }

        private static JsonNode Body(HttpRequestMessage request)
        {
            using var body = request.Content!.ReadAsStream();
            return JsonNode.Parse(body)!;
        }

        private static HttpResponseMessage Answer(JsonNode body, HttpStatusCode status = HttpStatusCode.OK) =>
            new(status) { Content = new StringContent(body.ToJsonString()) };

        private static HttpResponseMessage Refuse(int code, string message) =>
            Answer(new JsonObject { ["error_code"] = code, ["message"] = message }, HttpStatusCode.NotFound);
    }
}

/// <summary>A value for <see cref="SchemaRegistryTests"/>.</summary>
public sealed record TestOrder(int Id, string What);

[JsonSerializable(typeof(TestOrder))]
internal sealed partial class TestOrderJson : JsonSerializerContext;
