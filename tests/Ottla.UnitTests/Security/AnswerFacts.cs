using System.Collections;
using System.Globalization;
using System.Reflection;
using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Security;

/// <summary>
/// What a response says about permissions, by its place: error codes, authorized operations, and which elements there are. The order of
/// elements is no part of it.
/// </summary>
internal static class AnswerFacts
{
    private static readonly string[] KeyNames =
        ["Name", "TopicName", "Topic", "GroupId", "TransactionalId", "ResourceName", "Key", "User", "ConfigName", "PartitionIndex",
            "Partition", "PartitionId", "Index", "TopicId", "PrincipalName", "ApiKey"];

    /// <summary>The facts of a response.</summary>
    /// <param name="response">The response.</param>
    /// <param name="nameOf">The name of a topic's id.</param>
    public static SortedDictionary<string, string> Of(IMessage response, Func<Uuid, string> nameOf)
    {
        var facts = new SortedDictionary<string, string>(StringComparer.Ordinal);
        Add(facts, "", response, nameOf);
        return facts;
    }

    private static void Add(SortedDictionary<string, string> facts, string path, object message, Func<Uuid, string> nameOf)
    {
        foreach (var property in message.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            var value = property.GetValue(message);
            var name = property.Name;
            if (name.EndsWith("ErrorCode", StringComparison.Ordinal) && value is short code)
                facts[$"{path}{name}"] = code.ToString(CultureInfo.InvariantCulture);
            else if (name.EndsWith("AuthorizedOperations", StringComparison.Ordinal) && value is int operations)
                facts[$"{path}{name}"] = operations.ToString(CultureInfo.InvariantCulture);
            else if (name == "ErrorMessage")
                facts[$"{path}{name}"] = value as string ?? "null";
            else if (value is IEnumerable elements and not string && property.PropertyType.IsArray
                && IsMessage(property.PropertyType.GetElementType()!))
                AddAll(facts, $"{path}{name}", elements, nameOf);
        }
    }

    private static void AddAll(SortedDictionary<string, string> facts, string path, IEnumerable elements, Func<Uuid, string> nameOf)
    {
        var index = 0;
        foreach (var element in elements)
        {
            var key = KeyOf(element, nameOf) ?? string.Create(CultureInfo.InvariantCulture, $"#{index}");
            index++;
            facts[$"{path}[{key}]"] = "there";
            Add(facts, $"{path}[{key}].", element, nameOf);
        }
    }

    private static string? KeyOf(object element, Func<Uuid, string> nameOf)
    {
        string? unnamed = null;
        foreach (var name in KeyNames)
        {
            switch (element.GetType().GetProperty(name)?.GetValue(element))
            {
                case string { Length: > 0 } text:
                    return text;
                case string:
                    unnamed = "''";
                    break;
                case short number:
                    return number.ToString(CultureInfo.InvariantCulture);
                case int number:
                    return number.ToString(CultureInfo.InvariantCulture);
                case Uuid id when id != Uuid.Zero:
                    return $"id {nameOf(id)}";
            }
        }

        return unnamed;
    }

    private static bool IsMessage(Type type) => type.Namespace == typeof(IMessage).Namespace && type.IsClass;
}
