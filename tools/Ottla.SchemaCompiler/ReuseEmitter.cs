namespace Ottla.SchemaCompiler;

/// <summary>Emits what makes a struct one whose objects are filled again: for messages marked <c>reused</c>.</summary>
internal static class ReuseEmitter
{
    /// <summary>Whether the elements of a field are kept for the next use.</summary>
    public static bool HasParts(Message message, Field field) => message.IsReused && field is { IsArray: true, IsStruct: true };

    /// <summary>Whether the struct of a field is kept for the next use: one that is null while it is absent.</summary>
    public static bool IsKept(Message message, Field field) =>
        message.IsReused && field is { IsArray: false, IsStruct: true } && CSharp.Initializer(field).Length == 0;

    /// <summary>The method that makes such a field an array of kept elements, or the kept struct.</summary>
    public static string TakeMethod(Field field) => $"Take{field.Name}";

    public static void Emit(CodeWriter code, Message message, Struct owner)
    {
        foreach (var field in owner.Fields.Where(field => HasParts(message, field)))
        {
            code.Line($"private ReusableParts<{field.TypeName}> {PartsOf(field)};");
            code.Line();
            code.Line($"/// <summary>Makes <see cref=\"{field.Name}\"/> an array of elements that are as new, and belong to this object "
                + "until its <see cref=\"Reset\"/>.</summary>");
            var bound = IsPartOf(message, owner) ? ", ReusablePartsLimits.Many" : "";
            code.Line($"public {field.TypeName}[] {TakeMethod(field)}(int length) => {field.Name} = {PartsOf(field)}.Take(length{bound});");
            code.Line();
        }

        foreach (var field in owner.Fields.Where(field => IsKept(message, field)))
        {
            code.Line($"private {field.TypeName}? {KeptOf(field)};");
            code.Line();
            code.Line($"/// <summary>Makes <see cref=\"{field.Name}\"/> an object that is as new, and belongs to this object until its "
                + "<see cref=\"Reset\"/>.</summary>");
            code.Line($"public {field.TypeName} {TakeMethod(field)}() => {field.Name} = {KeptOf(field)} ??= new {field.TypeName}();");
            code.Line();
        }

        code.Line("/// <inheritdoc/>");
        using var _ = code.Block("public void Reset()");
        foreach (var field in owner.Fields)
        {
            code.Line($"{field.Name}{(CSharp.Initializer(field) is { Length: > 0 } initializer ? initializer : " = default;")}");
            if (HasParts(message, field))
                code.Line($"{PartsOf(field)}.Reset();");
            if (IsKept(message, field))
                code.Line($"{KeptOf(field)}?.Reset();");
        }

        if (!message.FlexibleVersions.IsEmpty)
            code.Line("UnknownTaggedFields = null;");
    }

    /// <summary>Whether a struct is the element of an array of the message, as a topic is.</summary>
    private static bool IsPartOf(Message message, Struct owner) =>
        message.Body.Fields.Exists(field => HasParts(message, field) && field.TypeName == owner.Name);

    private static string KeptOf(Field field) => $"_kept{field.Name}";

    private static string PartsOf(Field field) => $"_parts{field.Name}";
}
