using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.SchemaCompiler;
using Ottla.UnitTests.Schemas;

namespace Ottla.UnitTests.Protocol;

/// <summary>What every message type does in every version, whatever its fields hold.</summary>
public sealed class MessageRoundTripTests
{
    public static TheoryData<string> Messages => MessageType.Names;

    [Theory]
    [MemberData(nameof(Messages))]
    public void Decoding_gives_back_what_was_encoded(string message)
    {
        var type = MessageType.All[message];
        foreach (var version in type.Versions)
        {
            var builder = new MessageBuilder(SchemaCatalog.ByMessage[message], version);
            for (var i = 0; i < FuzzSettings.MessagesPerVersion; i++)
            {
                var seed = type.Seed + (ulong)i;
                var original = builder.Random(new Prng(seed));
                var encoded = WireBuffer.Encode(original, version);
                var decoded = type.ReadAll(encoded, version);
                Assert.True(builder.AreEqual(original, decoded), $"{message} v{version} seed {seed}: a field changed its value");
                Assert.True(
                    encoded.AsSpan().SequenceEqual(WireBuffer.Encode(decoded, version)),
                    $"{message} v{version} seed {seed}: encoded again, it differs");
                var output = new ExactOutput();
                var writer = new WireWriter(output);
                original.Write(ref writer, version);
                writer.Flush();
                Assert.True(
                    encoded.AsSpan().SequenceEqual(output.Written),
                    $"{message} v{version} seed {seed}: with an output that gives no more than asked for, it differs");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public void Versions_outside_the_schema_are_refused(string message)
    {
        var type = MessageType.All[message];
        var empty = (IMessage)Activator.CreateInstance(type.Class)!;
        foreach (var version in new[] { short.MinValue, -1, type.LowestVersion - 1, type.HighestVersion + 1, short.MaxValue }.Select(
            v => (short)v))
        {
            Assert.Throws<UnsupportedVersionException>(() => WireBuffer.Encode(empty, version));
            Assert.Throws<UnsupportedVersionException>(() => type.Read(new byte[64], version, out _));
        }
    }

    /// <summary>At a version without the field, a value is an error, or dropped where the schema says so.</summary>
    [Theory]
    [MemberData(nameof(Messages))]
    public void Values_that_a_version_has_no_place_for(string message)
    {
        foreach (var (version, builder, owner, field) in FieldsAtVersions(message))
        {
            if (field.Versions.Low <= version && version <= field.Versions.High)
                continue;
            var (root, target) = builder.Reaching(owner);
            if (target is null)
                continue;
            var without = WireBuffer.Encode(root, version);
            MessageBuilder.Set(target, field, builder.NonDefaultValue(target, field));
            if (field.IsIgnorable)
                Assert.True(
                    without.AsSpan().SequenceEqual(WireBuffer.Encode(root, version)),
                    $"{owner.Name}.{field.Name} is not dropped at v{version} of {message}");
            else
                AssertRefused(root, version, $"{owner.Name}.{field.Name} has a value at v{version} of {message}");
        }
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public void Nulls_that_a_version_does_not_allow(string message)
    {
        foreach (var (version, builder, owner, field) in FieldsAtVersions(message))
        {
            var isThere = field.Versions.Low <= version && version <= field.Versions.High;
            if (!isThere || !CSharp.CanBeNull(field) || CSharp.IsAbsentAsNull(field))
                continue;
            var (root, target) = builder.Reaching(owner);
            if (target is null)
                continue;
            MessageBuilder.Set(target, field, field.TypeName == "records" ? default(Records) : null);
            if (field.NullableVersions.Low <= version && version <= field.NullableVersions.High)
                Assert.True(
                    IsNull(ReadBack(message, root, version, builder, owner), field),
                    $"{owner.Name}.{field.Name} does not stay null at v{version} of {message}");
            else
                AssertRefused(root, version, $"{owner.Name}.{field.Name} is null at v{version} of {message}");
        }
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public void Null_elements_are_refused(string message)
    {
        foreach (var (version, builder, owner, field) in FieldsAtVersions(message))
        {
            if (!field.IsArray || field.TypeName is not ("string" or "bytes") || version < field.Versions.Low
                || version > field.Versions.High)
                continue;
            var (root, target) = builder.Reaching(owner);
            if (target is null)
                continue;
            var elements = builder.EmptyElements(target, field, 2);
            elements.SetValue(null, 1);
            MessageBuilder.Set(target, field, elements);
            AssertRefused(root, version, $"{owner.Name}.{field.Name} has a null element at v{version} of {message}");
        }
    }

    /// <summary>The test above would check nothing if nested structs could not be reached.</summary>
    [Theory]
    [MemberData(nameof(Messages))]
    public void Every_struct_is_reached_at_some_version(string message)
    {
        var schema = SchemaCatalog.ByMessage[message];
        foreach (var owner in schema.Structs)
            Assert.True(
                MessageType.All[message].Versions.Any(version => new MessageBuilder(schema, version).Reaching(owner).Target is not null),
                $"{message}.{owner.Name}");
    }

    [Fact]
    public void Every_schema_has_its_class_and_every_class_its_schema()
    {
        Assert.Equal(SchemaCatalog.ByMessage.Keys.Order(StringComparer.Ordinal), MessageType.All.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, type) in MessageType.All)
        {
            var schema = SchemaCatalog.ByMessage[name];
            Assert.Equal((schema.Versions.Low, schema.Versions.High), (type.LowestVersion, type.HighestVersion));
            Assert.Equal(schema.FlexibleVersions.IsEmpty ? short.MaxValue : schema.FlexibleVersions.Low, type.LowestFlexibleVersion);
        }
    }

    private static IEnumerable<(short Version, MessageBuilder Builder, Struct Owner, Field Field)> FieldsAtVersions(string message)
    {
        var schema = SchemaCatalog.ByMessage[message];
        foreach (var version in MessageType.All[message].Versions)
        {
            var builder = new MessageBuilder(schema, version);
            foreach (var owner in schema.Structs)
            {
                foreach (var field in owner.Fields)
                    yield return (version, builder, owner, field);
            }
        }
    }

    /// <summary>Encodes and decodes a message, and finds the struct in it that <see cref="MessageBuilder.Reaching"/> had reached.</summary>
    private static object ReadBack(string message, IMessage root, short version, MessageBuilder builder, Struct owner)
    {
        var decoded = MessageType.All[message].ReadAll(WireBuffer.Encode(root, version), version);
        return builder.Find(decoded, owner) ?? throw new InvalidOperationException($"{owner.Name} got lost at v{version} of {message}");
    }

    private static bool IsNull(object owner, Field field) => MessageBuilder.Get(owner, field) is null or Records { IsNull: true };

    private static void AssertRefused(IMessage message, short version, string what)
    {
        var refusal = Record.Exception(() => WireBuffer.Encode(message, version));
        Assert.True(refusal is UnsupportedFieldException, $"{what}: {refusal?.GetType().Name ?? "encoded"}");
    }
}
