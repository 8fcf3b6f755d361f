using System.Collections;
using System.Reflection;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.SchemaCompiler;

namespace Ottla.UnitTests.Protocol;

/// <summary>Fills messages by their schemas: every field that a version has, and no other.</summary>
internal sealed class MessageBuilder(Message schema, short version)
{
    private const int MinimalDepth = 3;
    private static readonly long[] EdgeNumbers = [
        0, 1, -1, 127, 128, 255, 256, 32767, -32768, 65535, int.MaxValue, int.MinValue, uint.MaxValue, long.MaxValue, long.MinValue];
    private static readonly string[] EdgeTexts = [
        "", "a", "ä€😀", "\0", "__consumer_offsets", new('x', 126), new('x', 127), new('x', 128), new('ü', 200)];
    private static readonly uint[] UnknownTags = [6, 7, 31, 127, 128, 16384, int.MaxValue, uint.MaxValue];
    private static readonly Dictionary<(Type, string), PropertyInfo> Properties = [];

    private readonly Dictionary<string, Struct> _structs = schema.Structs.ToDictionary(s => s.Name);

    /// <summary>A message with random values in all its fields.</summary>
    public IMessage Random(Prng prng) => (IMessage)RandomStruct(schema.Body, MessageType.All[schema.Name].Class, prng, 0);

    /// <summary>A message that is empty, but for one element of whatever leads to <paramref name="target"/>.</summary>
    /// <returns>The message, and the instance of <paramref name="target"/> in it; null when the version has none.</returns>
    public (IMessage Message, object? Target) Reaching(Struct target)
    {
        object? found = null;
        var message = ReachingStruct(schema.Body, MessageType.All[schema.Name].Class, target, ref found);
        return ((IMessage)message, found);
    }

    /// <summary>The first instance of a struct in a message.</summary>
    public object? Find(object root, Struct target) => FindIn(schema.Body, root, target);

    private object? FindIn(Struct type, object? value, Struct target)
    {
        if (type == target || value is null)
            return value;
        foreach (var field in type.Fields.Where(f => f.IsStruct && Leads(_structs[f.TypeName], target)))
        {
            foreach (var child in Get(value, field) is { } content ? content as IEnumerable ?? new[] { content } : Array.Empty<object>())
            {
                if (FindIn(_structs[field.TypeName], child, target) is { } found)
                    return found;
            }
        }

        return null;
    }

    /// <summary>An array of <paramref name="length"/> empty elements for a field.</summary>
    public Array EmptyElements(object owner, Field field, int length)
    {
        var elementType = Property(owner.GetType(), field.Name).PropertyType.GetElementType()!;
        var array = Array.CreateInstance(elementType, length);
        var unreachable = new Struct { Name = "", Line = 0, Versions = VersionRange.None };
        object? none = null;
        var element = field.IsStruct ? ReachingStruct(_structs[field.TypeName], elementType, unreachable, ref none)
            : EmptyValue(elementType);
        for (var i = 0; i < length; i++)
            array.SetValue(element, i);
        return array;
    }

    /// <summary>A value that is not the field's default.</summary>
    public object NonDefaultValue(object owner, Field field)
    {
        if (field.IsArray)
            return EmptyElements(owner, field, 1);
        var type = Property(owner.GetType(), field.Name).PropertyType;
        if (field.IsStruct)
            return field is { Default: "null" } ? Activator.CreateInstance(type)!
            : WithUnknownTag(Activator.CreateInstance(type)!, _structs[field.TypeName]);
        return field.TypeName switch
        {
            "bool" => field.Default != "true",
            "string" => "not the default",
            "bytes" => new byte[] { 1 },
            "records" => new Records(new byte[] { 1 }),
            "uuid" => new Uuid(7, 7),
            "float64" => 7.5,
            _ => Convert.ChangeType(101, type),
        };
    }

    public static void Set(object owner, Field field, object? value) => Property(owner.GetType(), field.Name).SetValue(owner, value);

    public static object? Get(object owner, Field field) => Property(owner.GetType(), field.Name).GetValue(owner);

    /// <summary>Whether two messages have the same values; an absent tagged struct equals one with nothing in it.</summary>
    public bool AreEqual(object? left, object? right) => StructsEqual(schema.Body, left, right);

    private bool StructsEqual(Struct type, object? left, object? right)
    {
        if (left is null || right is null)
            return IsAbsent(left) && IsAbsent(right);
        foreach (var field in type.Fields)
        {
            if (!ValuesEqual(field, Get(left, field), Get(right, field)))
                return false;
        }

        if (schema.FlexibleVersions.IsEmpty)
            return true;
        var leftTags = UnknownTagsOf(left) ?? [];
        var rightTags = UnknownTagsOf(right) ?? [];
        return leftTags.Count == rightTags.Count && leftTags.Zip(rightTags)
            .All(pair => pair.First.Tag == pair.Second.Tag && pair.First.Data.AsSpan().SequenceEqual(pair.Second.Data));
    }

    private static bool IsAbsent(object? value) =>
        value is null || (bool)value.GetType().GetProperty("IsDefault", BindingFlags.NonPublic | BindingFlags.Instance)!.GetValue(value)!;

    private bool ValuesEqual(Field field, object? left, object? right)
    {
        if (field.IsArray && left is Array lefts && right is Array rights)
        {
            if (lefts.Length != rights.Length)
                return false;
            for (var i = 0; i < lefts.Length; i++)
            {
                if (!(field.IsStruct ? StructsEqual(_structs[field.TypeName], lefts.GetValue(i), rights.GetValue(i))
                    : PlainEqual(lefts.GetValue(i), rights.GetValue(i))))
                    return false;
            }

            return true;
        }

        return field is { IsStruct: true, IsArray: false } ? StructsEqualOrBothNull(field, left, right) : PlainEqual(left, right);
    }

    private bool StructsEqualOrBothNull(Field field, object? left, object? right) =>
        CSharp.IsAbsentAsNull(field) ? StructsEqual(_structs[field.TypeName], left, right)
        : left is null || right is null ? left is null && right is null
        : StructsEqual(_structs[field.TypeName], left, right);

    private static bool PlainEqual(object? left, object? right) => (left, right) switch
    {
        (byte[] l, byte[] r) => l.AsSpan().SequenceEqual(r),
        (Records l, Records r) => l.IsNull == r.IsNull && l.Memory.Span.SequenceEqual(r.Memory.Span),
        _ => Equals(left, right),
    };

    private object RandomStruct(Struct type, Type @class, Prng prng, int depth)
    {
        var value = Activator.CreateInstance(@class)!;
        foreach (var field in type.Fields.Where(f => f.Versions.Low <= version && version <= f.Versions.High))
        {
            if (field.Tag is null || prng.NextChance(60))
                Set(value, field, RandomField(field, Property(@class, field.Name).PropertyType, prng, depth));
        }

        if (IsFlexible && prng.NextChance(depth == 0 ? 40 : 10))
        {
            var unknown = new List<RawTaggedField>();
            foreach (var tag in UnknownTags.Where(tag => type.Fields.All(f => f.Tag != (int)tag) && prng.NextChance(30)))
                unknown.Add(new RawTaggedField(tag, RandomBytes(prng)));
            if (unknown.Count > 0)
                SetUnknownTags(value, unknown);
        }

        return value;
    }

    private object? RandomField(Field field, Type type, Prng prng, int depth)
    {
        if (field.IsNullable && field.NullableVersions.Low <= version && version <= field.NullableVersions.High && prng.NextChance(20))
            return type == typeof(Records) ? default(Records) : null;
        if (!field.IsArray)
            return RandomValue(field, type, prng, depth);
        var array = Array.CreateInstance(type.GetElementType()!, depth >= MinimalDepth ? prng.NextInt(2) : prng.NextInt(4));
        for (var i = 0; i < array.Length; i++)
            array.SetValue(RandomValue(field, type.GetElementType()!, prng, depth + 1), i);
        return array;
    }

    private object RandomValue(Field field, Type type, Prng prng, int depth)
    {
        if (field.IsStruct)
            return RandomStruct(_structs[field.TypeName], type, prng, depth + 1);
        var number = prng.NextChance(50) ? EdgeNumbers[prng.NextInt(EdgeNumbers.Length)] : (long)prng.NextUInt64();
        return field.TypeName switch
        {
            "bool" => prng.NextChance(50),
            "int8" => (sbyte)number,
            "int16" => (short)number,
            "uint16" => (ushort)number,
            "int32" => (int)number,
            "uint32" => (uint)number,
            "int64" => number,
            "float64" => BitConverter.Int64BitsToDouble(number),
            "uuid" => new Uuid((ulong)number, prng.NextUInt64()),
            "string" => prng.NextChance(40) ? EdgeTexts[prng.NextInt(EdgeTexts.Length)] : $"text-{number}",
            "bytes" => RandomBytes(prng),
            "records" => new Records(RandomBytes(prng)),
            var other => throw new InvalidOperationException($"{other} as {type} is not known to this test"),
        };
    }

    private object ReachingStruct(Struct type, Type @class, Struct target, ref object? found)
    {
        var value = Activator.CreateInstance(@class)!;
        if (type == target)
            found = value;
        foreach (var field in type.Fields.Where(f => f.Versions.Low <= version && version <= f.Versions.High))
        {
            var isOnTheWay = field.IsStruct && found is null && Leads(_structs[field.TypeName], target);
            var propertyType = Property(@class, field.Name).PropertyType;
            if (field.IsArray)
            {
                var array = Array.CreateInstance(propertyType.GetElementType()!, isOnTheWay ? 1 : 0);
                if (isOnTheWay)
                    array.SetValue(ReachingStruct(_structs[field.TypeName], propertyType.GetElementType()!, target, ref found), 0);
                Set(value, field, array);
            }
            else if (field.IsStruct)
            {
                if (isOnTheWay)
                {
                    var nested = ReachingStruct(_structs[field.TypeName], propertyType, target, ref found);
                    // a tagged struct with only defaults is left out
                    Set(value, field, field.Tag is null ? nested : WithUnknownTag(nested, _structs[field.TypeName]));
                }
                else if (field.Tag is not null)
                {
                    Set(value, field, field.IsNullable && field.Default != "null" ? Activator.CreateInstance(propertyType) : null);
                }
            }
            else if (field.TypeName is "string" or "bytes" or "records" && field.Tag is null)
            {
                Set(value, field, EmptyValue(propertyType));
            }
        }

        return value;
    }

    /// <summary>Whether instances of <paramref name="target"/> can be within one of <paramref name="type"/> at this version.</summary>
    private bool Leads(Struct type, Struct target) =>
        type == target || type.Fields.Any(
            f => f.IsStruct && f.Versions.Low <= version && version <= f.Versions.High && Leads(_structs[f.TypeName], target));

    private bool IsFlexible => !schema.FlexibleVersions.IsEmpty && version >= schema.FlexibleVersions.Low;

    private static object EmptyValue(Type type) =>
        type == typeof(string) ? "" : type == typeof(byte[]) ? Array.Empty<byte>() : type == typeof(Records) ? Records.Empty
        : Activator.CreateInstance(type)!;

    private object WithUnknownTag(object value, Struct type)
    {
        if (!schema.FlexibleVersions.IsEmpty)
            SetUnknownTags(value, [new RawTaggedField(31, [1])]);
        else if (type.Fields.Find(f => f is { IsPrimitive: true, IsArray: false }) is { } field)
            Set(value, field, NonDefaultValue(value, field));
        return value;
    }

    private static byte[] RandomBytes(Prng prng)
    {
        var bytes = new byte[prng.NextChance(10) ? prng.NextInt(126, 131) : prng.NextInt(20)];
        prng.NextBytes(bytes);
        return bytes;
    }

    private static List<RawTaggedField>? UnknownTagsOf(object value) =>
        (List<RawTaggedField>?)Property(value.GetType(), "UnknownTaggedFields").GetValue(value);

    public static void SetUnknownTags(object value, List<RawTaggedField> fields) =>
        Property(value.GetType(), "UnknownTaggedFields").SetValue(value, fields);

    private static PropertyInfo Property(Type type, string name)
    {
        lock (Properties)
        {
            if (!Properties.TryGetValue((type, name), out var property))
                Properties[(type, name)] = property = type.GetProperty(name)
                ?? throw new InvalidOperationException($"{type.Name} has no {name}");
            return property;
        }
    }
}
