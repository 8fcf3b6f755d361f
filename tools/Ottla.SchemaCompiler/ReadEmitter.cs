namespace Ottla.SchemaCompiler;

/// <summary>Emits the decoding of a struct.</summary>
internal static class ReadEmitter
{
    public static void Emit(CodeWriter code, Message message, Struct owner)
    {
        var isTop = owner == message.Body;
        if (isTop)
            code.Line("/// <inheritdoc/>");
        using (code.Block($"{(isTop ? "public" : "internal")} static {owner.Name} Read(ref WireReader reader, short version)"))
        {
            if (isTop)
                code.Line($"UnsupportedVersionException.ThrowIfOutside(LowestVersion, HighestVersion, version, nameof({owner.Name}));");
            code.Line($"var value = new {owner.Name}();");
            if (message.IsReused)
                code.Line("value.Fill(ref reader, version);");
            else
                EmitFields(code, message, owner);
            code.Line("return value;");
        }

        if (message.IsReused)
            EmitFill(code, message, owner, isTop);
    }

    /// <summary>The decoding into an object that is as new, which a message that is reused has besides.</summary>
    private static void EmitFill(CodeWriter code, Message message, Struct owner, bool isTop)
    {
        code.Line();
        if (isTop)
        {
            code.Line("/// <inheritdoc/>");
            using (code.Block("public void ReadAgain(ref WireReader reader, short version)"))
            {
                code.Line($"UnsupportedVersionException.ThrowIfOutside(LowestVersion, HighestVersion, version, nameof({owner.Name}));");
                code.Line("Reset();");
                code.Line("Fill(ref reader, version);");
            }

            code.Line();
        }

        using var _ = code.Block($"{(isTop ? "private" : "internal")} void Fill(ref WireReader reader, short version)");
        code.Line("var value = this;");
        EmitFields(code, message, owner);
    }

    private static void EmitFields(CodeWriter code, Message message, Struct owner)
    {
        CSharp.DeclareFlexible(code, message);
        foreach (var field in owner.Fields.Where(f => f.Tag is null))
            EmitConditional(code, message, owner, field);
        EmitTagged(code, message, owner);
    }

    private static void EmitConditional(CodeWriter code, Message message, Struct owner, Field field)
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

    private static void EmitField(CodeWriter code, Message message, Field field)
    {
        var flexible = CSharp.FlexibleArgument(message, field);
        if (field.IsArray)
        {
            EmitArray(code, message, field, flexible);
            return;
        }

        if (ReuseEmitter.IsKept(message, field))
        {
            var fill = $"value.{ReuseEmitter.TakeMethod(field)}().Fill(ref reader, version);";
            if (field.IsNullable)
                code.Line($"if (reader.Read{CSharp.PresenceMethod(field)}(\"{field.Name}\"))");
            code.Line(field.IsNullable ? "    " + fill : fill);
            return;
        }

        if (field.IsStruct)
        {
            var read = $"{field.TypeName}.Read(ref reader, version)";
            code.Line(!field.IsNullable ? $"value.{field.Name} = {read};"
                : $"value.{field.Name} = reader.Read{CSharp.PresenceMethod(field)}(\"{field.Name}\") ? {read} : null;");
            return;
        }

        var (_, method, size) = Primitives.All[field.TypeName];
        if (size > 0)
        {
            code.Line($"value.{field.Name} = reader.Read{method}();");
            return;
        }

        if (!field.IsNullable)
            code.Line($"value.{field.Name} = reader.Read{method}({flexible}, \"{field.Name}\");");
        else if (CSharp.VersionCondition(field.NullableVersions, field.Versions) is { } condition)
            code.Line($"value.{field.Name} = {condition} ? reader.ReadNullable{method}({flexible}) : reader.Read{method}({flexible}, "
                + $"\"{field.Name}\");");
        else
            code.Line($"value.{field.Name} = reader.ReadNullable{method}({flexible});");
    }

    private static void EmitArray(CodeWriter code, Message message, Field field, string flexible)
    {
        var minimum = field.IsStruct ? $"{field.TypeName}.MinimumBytes(version)"
            : Primitives.All[field.TypeName].Size is > 0 and var size ? $"{size}"
            : CSharp.FlexibleChoice(message, "1", "2");
        var local = "length" + field.Name;
        code.Line($"var {local} = reader.ReadArrayLength({flexible}, {minimum}, \"{field.Name}\");");
        if (!field.IsNullable || CSharp.VersionCondition(field.NullableVersions, field.Versions) is { })
        {
            var notNullable = field.IsNullable ? $" && !({CSharp.VersionCondition(field.NullableVersions, field.Versions)})" : "";
            code.Line($"if ({local} < 0{notNullable})");
            code.Line($"    throw MalformedMessageException.NotNullable(\"{field.Name}\");");
        }

        if (field.IsNullable)
        {
            using (code.Block($"if ({local} < 0)"))
                code.Line($"value.{field.Name} = null;");
            using (code.Block("else"))
                EmitElements(code, message, field, local, flexible);
        }
        else
        {
            EmitElements(code, message, field, local, flexible);
        }
    }

    private static void EmitElements(CodeWriter code, Message message, Field field, string length, string flexible)
    {
        var array = "array" + field.Name;
        if (ReuseEmitter.HasParts(message, field))
        {
            code.Line($"foreach (var part in value.{ReuseEmitter.TakeMethod(field)}({length}))");
            code.Line("    part.Fill(ref reader, version);");
            return;
        }

        code.Line($"var {array} = {length} == 0 ? [] : new {CSharp.ElementType(field)}[{length}];");
        code.Line($"for (var i = 0; i < {array}.Length; i++)");
        var element = field.IsStruct ? $"{field.TypeName}.Read(ref reader, version)"
            : Primitives.All[field.TypeName] is { Size: > 0 } fixedSize ? $"reader.Read{fixedSize.Method}()"
            : $"reader.Read{Primitives.All[field.TypeName].Method}({flexible}, \"{field.Name}\")";
        code.Line($"    {array}[i] = {element};");
        code.Line($"value.{field.Name} = {array};");
    }

    private static void EmitTagged(CodeWriter code, Message message, Struct owner)
    {
        if (message.FlexibleVersions.IsEmpty)
            return;
        using var _ = CSharp.Flexible(message) == "true" ? null : code.Block("if (flexible)");
        code.Line("var tagCount = reader.ReadTagCount();");
        code.Line("var lastTag = -1L;");
        using var loop = code.Block("for (var tagIndex = 0; tagIndex < tagCount; tagIndex++)");
        code.Line("var tag = reader.ReadTag(ref lastTag, out var tagSize);");
        var tagged = owner.Fields.Where(f => f.Tag is not null).OrderBy(f => f.Tag).ToList();
        if (tagged.Count == 0)
        {
            code.Line("(value.UnknownTaggedFields ??= []).Add(reader.ReadRawTaggedField(tag, tagSize));");
            return;
        }

        code.Line("var tagEnd = reader.Position + tagSize;");
        using (code.Block("switch (tag)"))
        {
            foreach (var field in tagged)
            {
                var condition = CSharp.VersionCondition(field.Versions, owner.Versions.Intersect(message.FlexibleVersions));
                using (code.Block($"case {field.Tag}{(condition is null ? "" : $" when {condition}")}:"))
                {
                    EmitField(code, message, field);
                    code.Line("break;");
                }
            }

            code.Line("default:");
            code.Line("    (value.UnknownTaggedFields ??= []).Add(reader.ReadRawTaggedField(tag, tagSize));");
            code.Line("    break;");
        }

        code.Line("reader.CheckTagEnd(tag, tagEnd);");
    }
}
