namespace Ottla.SchemaCompiler;

/// <summary>Emits the encoding of a struct.</summary>
internal static class WriteEmitter
{
    public static void Emit(CodeWriter code, Message message, Struct owner)
    {
        var isTop = owner == message.Body;
        if (isTop)
            code.Line("/// <inheritdoc/>");
        using var _ = code.Block($"{(isTop ? "public" : "internal")} void Write(ref WireWriter writer, short version)");
        if (isTop)
            code.Line($"UnsupportedVersionException.ThrowIfOutside(LowestVersion, HighestVersion, version, nameof({owner.Name}));");
        CSharp.DeclareFlexible(code, message);
        foreach (var field in owner.Fields)
            EmitUnsupportedCheck(code, owner, field);
        foreach (var field in owner.Fields.Where(f => f.Tag is null))
        {
            if (CSharp.VersionCondition(field.Versions, owner.Versions) is { } condition)
            {
                using (code.Block($"if ({condition})"))
                    EmitField(code, message, field);
            }
            else
            {
                EmitField(code, message, field);
            }
        }

        EmitTagged(code, message, owner);
    }

    /// <summary>A value that the version has no place for is an error, unless the schema says that it may be dropped.</summary>
    private static void EmitUnsupportedCheck(CodeWriter code, Struct owner, Field field)
    {
        if (field.IsIgnorable || CSharp.VersionCondition(field.Versions, owner.Versions) is not { } condition)
            return;
        code.Line($"if (!({condition}) && !({CSharp.IsDefault(field)}))");
        code.Line($"    throw UnsupportedFieldException.Create(\"{owner.Name}.{field.Name}\", version);");
    }

    private static void EmitField(CodeWriter code, Message message, Field field)
    {
        var name = field.Name;
        var flexible = CSharp.FlexibleArgument(message, field);
        EmitNullCheck(code, field);
        if (field.IsArray)
        {
            code.Line($"writer.WriteArrayLength({(field.IsNullable ? $"{name}?.Length ?? -1" : $"{name}.Length")}, {flexible});");
            code.Line($"foreach (var element in {name}{(field.IsNullable ? " ?? []" : "")})");
            var element = field.IsStruct ? "element.Write(ref writer, version);"
                : Primitives.All[field.TypeName] is { Size: > 0 } fixedSize ? $"writer.Write{fixedSize.Method}(element);"
                : $"writer.Write{Primitives.All[field.TypeName].Method}(element ?? throw "
                    + $"UnsupportedFieldException.NotNullable(\"{name}\", version), {flexible});";
            code.Line($"    {element}");
        }
        else if (field.IsStruct)
        {
            if (field.IsNullable)
                code.Line($"writer.Write{CSharp.PresenceMethod(field)}({name} is not null);");
            code.Line($"{name}{(field.IsNullable || CSharp.IsAbsentAsNull(field) ? "?" : "")}.Write(ref writer, version);");
        }
        else
        {
            var (_, method, size) = Primitives.All[field.TypeName];
            code.Line(size > 0 ? $"writer.Write{method}({name});" : $"writer.Write{method}({name}, {flexible});");
        }
    }

    /// <summary>A null that the version does not allow would be encoded as a null nevertheless, and refused by whoever reads it.</summary>
    private static void EmitNullCheck(CodeWriter code, Field field)
    {
        if (!CSharp.CanBeNull(field) || CSharp.IsAbsentAsNull(field))
            return;
        var condition = field.IsNullable ? CSharp.VersionCondition(field.NullableVersions, field.Versions) : "false";
        if (condition is null)
            return;
        var isNull = field is { TypeName: "records", IsArray: false } ? $"{field.Name}.IsNull" : $"{field.Name} is null";
        code.Line($"if ({(field.IsNullable ? $"!({condition}) && " : "")}{isNull})");
        code.Line($"    throw UnsupportedFieldException.NotNullable(\"{field.Name}\", version);");
    }

    private static void EmitTagged(CodeWriter code, Message message, Struct owner)
    {
        if (message.FlexibleVersions.IsEmpty)
            return;
        var tagged = owner.Fields.Where(f => f.Tag is not null).OrderBy(f => f.Tag).ToList();
        using var _ = CSharp.Flexible(message) == "true" ? null : code.Block("if (flexible)");
        if (tagged.Count == 0)
        {
            code.Line("writer.WriteUnknownTaggedFields(UnknownTaggedFields);");
            return;
        }

        string IsWritten(Field field) =>
            (CSharp.VersionCondition(field.Versions, owner.Versions.Intersect(message.FlexibleVersions)) is { } condition
                ? $"{condition} && " : "") + $"!({CSharp.IsDefault(field)})";

        code.Line("var tagCount = UnknownTaggedFields?.Count ?? 0;");
        foreach (var field in tagged)
        {
            code.Line($"if ({IsWritten(field)})");
            code.Line("    tagCount++;");
        }

        code.Line("writer.WriteTagCount(tagCount);");
        code.Line("var unknownIndex = 0;");
        foreach (var field in tagged)
        {
            code.Line($"writer.WriteUnknownTaggedFieldsBelow({field.Tag}, UnknownTaggedFields, ref unknownIndex);");
            using (code.Block($"if ({IsWritten(field)})"))
            {
                code.Line($"var mark = writer.BeginTaggedField({field.Tag});");
                EmitField(code, message, field);
                code.Line("writer.EndTaggedField(mark);");
            }
        }

        code.Line("writer.WriteRemainingUnknownTaggedFields(UnknownTaggedFields, ref unknownIndex);");
    }
}
