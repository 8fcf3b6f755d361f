namespace Ottla.SchemaCompiler;

/// <summary>
/// Emits how a struct of a record is shown as JSON: the field names and forms of Kafka's own converters, so that dumps of both can be
/// compared.
/// </summary>
internal static class JsonEmitter
{
    public static void Emit(CodeWriter code, Message message, Struct owner)
    {
        var isTop = owner == message.Body;
        if (isTop)
            code.Line("/// <inheritdoc/>");
        using var _ = code.Block($"{(isTop ? "public" : "internal")} void WriteJson(Utf8JsonWriter json, short version)");
        code.Line("json.WriteStartObject();");
        foreach (var field in owner.Fields)
        {
            var conditions = new List<string>();
            if (CSharp.VersionCondition(field.Versions, owner.Versions) is { } condition)
                conditions.Add(condition);
            if (field.Tag is not null)
                conditions.Add($"!({CSharp.IsDefault(field)})");
            using var block = conditions.Count == 0 ? null : code.Block($"if ({string.Join(" && ", conditions)})");
            EmitField(code, field);
        }

        code.Line("json.WriteEndObject();");
    }

    private static void EmitField(CodeWriter code, Field field)
    {
        code.Line($"json.WritePropertyName(\"{char.ToLowerInvariant(field.Name[0])}{field.Name[1..]}\");");
        if (!field.IsArray)
        {
            EmitValue(code, field, field.Name);
            return;
        }

        if (field.IsNullable)
        {
            using (code.Block($"if ({field.Name} is null)"))
                code.Line("json.WriteNullValue();");
            code.Line("else");
        }

        using var _ = code.Block("");
        code.Line("json.WriteStartArray();");
        using (code.Block($"foreach (var element in {field.Name})"))
            EmitValue(code, field, "element");
        code.Line("json.WriteEndArray();");
    }

    private static void EmitValue(CodeWriter code, Field field, string value)
    {
        var isNullable = field is { IsArray: false } && (field.IsNullable || CSharp.IsAbsentAsNull(field))
            && (field.IsStruct || field.TypeName == "bytes");
        if (isNullable)
        {
            using (code.Block($"if ({value} is null)"))
                code.Line("json.WriteNullValue();");
            code.Line("else");
        }

        code.Line((isNullable ? "    " : "") + field.TypeName switch
        {
            _ when field.IsStruct => $"{value}.WriteJson(json, version);",
            "bool" => $"json.WriteBooleanValue({value});",
            "uuid" => $"json.WriteStringValue({value}.ToString());",
            "string" => $"json.WriteStringValue({value});",
            "bytes" => $"json.WriteBase64StringValue({value});",
            // JSON has no number for those that are not finite.
            "float64" =>
                $"if (double.IsFinite({value})) json.WriteRawValue(JavaNumbers.Of({value})); else "
                    + $"json.WriteStringValue(JavaNumbers.Of({value}));",
            "records" => throw new InvalidOperationException("records are in APIs only, which have no JSON"),
            _ => $"json.WriteNumberValue({value});",
        });
    }
}
