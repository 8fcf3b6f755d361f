using System.Reflection;
using System.Text.Json;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.UnitTests.Protocol;

/// <summary>Every message in every version, against the bytes that Apache Kafka's own classes wrote.</summary>
public sealed class GoldenMessageTests
{
    private const int VectorCount = 3421;

    public static TheoryData<string> Messages() => [.. GoldenVectors.ByMessage.Keys.Order(StringComparer.Ordinal)];

    [Fact]
    public void All_vectors_are_there() => Assert.Equal(VectorCount, GoldenVectors.ByMessage.Values.Sum(v => v.Count));

    [Theory]
    [MemberData(nameof(Messages))]
    public void Decodes_and_encodes_what_Kafka_wrote(string message)
    {
        foreach (var vector in GoldenVectors.ByMessage[message])
            typeof(GoldenMessageTests).GetMethod(nameof(CheckVector), BindingFlags.NonPublic | BindingFlags.Static)!
                .MakeGenericMethod(TypeOf(message))
                .Invoke(null, BindingFlags.DoNotWrapExceptions, null, [vector], null);
    }

    public static TheoryData<string> ReusedMessages() =>
        [.. GoldenVectors.ByMessage.Keys.Where(name => typeof(IReusableMessage).IsAssignableFrom(TypeOf(name)))
            .Order(StringComparer.Ordinal)];

    /// <summary>One object takes all vectors of its message, twice, each over what the one before left.</summary>
    [Theory]
    [MemberData(nameof(ReusedMessages))]
    public void Decodes_into_an_object_that_was_used_before(string message)
    {
        var reused = (IReusableMessage)Activator.CreateInstance(TypeOf(message))!;
        var vectors = GoldenVectors.ByMessage[message];
        foreach (var vector in vectors.Concat(vectors))
        {
            var reader = new WireReader(Convert.FromHexString(vector.Hex));
            reused.ReadAgain(ref reader, vector.Version);
            Assert.True(reader.Remaining == 0, $"{vector.Name}: {reader.Remaining} bytes left over");
            Assert.True(vector.Hex == Encode(reused, vector.Version), $"{vector.Name}: decoded into a used object, it differs");
        }

        reused.Reset();
        foreach (var property in reused.GetType().GetProperties())
            Assert.Equal(property.GetValue(Activator.CreateInstance(reused.GetType())), property.GetValue(reused));
    }

    private static Type TypeOf(string message) =>
        typeof(IMessage).Assembly.GetType("Ottla.Protocol.Messages." + message, throwOnError: true)!;

    private static void CheckVector<T>(GoldenVector vector)
        where T : IMessage<T>
    {
        var reader = new WireReader(Convert.FromHexString(vector.Hex));
        var decoded = T.Read(ref reader, vector.Version);
        Assert.True(reader.Remaining == 0, $"{vector.Name}: {reader.Remaining} bytes left over");
        Assert.True(vector.Hex == Encode(decoded, vector.Version), $"{vector.Name}: decoded and encoded again, it differs");

        if (vector.Variant != "unknown_tags") // the JSON does not tell of the unknown tag
            Assert.True(
                vector.Hex == Encode((IMessage)FromJson(vector.Json, typeof(T), decoded)!, vector.Version),
                $"{vector.Name}: encoded from its fields, it differs");
    }

    private static string Encode(IMessage message, short version) => Convert.ToHexStringLower(WireBuffer.Encode(message, version));

    /// <summary>
    /// Builds a message from the fields that a vector lists; records, which it lists as empty, come from <paramref name="decoded"/>.
    /// </summary>
    private static object? FromJson(JsonElement json, Type type, object? decoded)
    {
        if (decoded is Records records)
            return records;
        if (json.ValueKind == JsonValueKind.Null)
            return null;
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type == typeof(string))
            return json.GetString();
        if (type == typeof(bool))
            return json.GetBoolean();
        if (type == typeof(Uuid))
            return Uuid.Parse(json.GetString()!);
        if (type == typeof(byte[]))
            return json.GetBytesFromBase64();
        if (type == typeof(double))
            return json.ValueKind == JsonValueKind.String ? double.Parse(json.GetString()!) : json.GetDouble();
        if (type.IsPrimitive)
            return Convert.ChangeType(json.GetInt64(), type);
        if (type.IsArray)
        {
            var array = Array.CreateInstance(type.GetElementType()!, json.GetArrayLength());
            var index = 0;
            foreach (var element in json.EnumerateArray())
                array.SetValue(FromJson(element, type.GetElementType()!, (decoded as Array)?.GetValue(index)), index++);
            return array;
        }

        var value = Activator.CreateInstance(type)!;
        foreach (var member in json.EnumerateObject())
        {
            var property = type.GetProperty(char.ToUpperInvariant(member.Name[0]) + member.Name[1..])
                ?? throw new InvalidOperationException($"{type.Name} has no field {member.Name}");
            property.SetValue(value, FromJson(member.Value, property.PropertyType, decoded is null ? null : property.GetValue(decoded)));
        }

        return value;
    }
}
