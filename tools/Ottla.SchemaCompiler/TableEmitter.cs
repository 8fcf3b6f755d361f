namespace Ottla.SchemaCompiler;

/// <summary>Emits what spans all schemas: the API keys, and a registry for each kind of record.</summary>
internal static class TableEmitter
{
    public static string EmitApiKeys(IEnumerable<Schema> schemas)
    {
        var apis = schemas.Where(s => s.Kind == "api").OrderBy(s => s.Key).ToList();
        var code = new CodeWriter();
        MessageEmitter.Prologue(code);
        code.Line();
        code.Line("/// <summary>Kafka's API keys.</summary>");
        using (code.Block("public enum ApiKey : short"))
        {
            foreach (var api in apis)
            {
                code.Line($"/// <summary>{api.Description}</summary>");
                code.Line($"{api.Name} = {api.Key},");
            }
        }

        code.Line();
        code.Line("/// <summary>What the schemas say of every API.</summary>");
        using (code.Block("public static class ApiSchemas"))
        {
            code.Line("/// <summary>Every API, by key.</summary>");
            using (code.Block("public static IReadOnlyList<ApiSchema> All { get; } = new ApiSchema[]"))
            {
                foreach (var api in apis)
                {
                    var request = api.Messages[0];
                    var flexible = request.FlexibleVersions.IsEmpty ? "short.MaxValue" : $"{request.FlexibleVersions.Low}";
                    code.Line($"new(ApiKey.{api.Name}, {request.Versions.Low}, {request.Versions.High}, {flexible}, "
                        + $"IsLatestVersionUnstable: {(request.IsLatestVersionUnstable ? "true" : "false")}, OnBroker: "
                            + $"{(api.Listeners.Contains("broker") ? "true" : "false")}, OnController: "
                                + $"{(api.Listeners.Contains("controller") ? "true" : "false")}, \"{api.Description}\"),");
                }
            }

            code.Line(";");
        }

        return code.ToString();
    }

    public static string RegistryName(string kind) =>
        string.Concat(kind[..^"-record".Length].Split('-').Select(word => char.ToUpperInvariant(word[0]) + word[1..])) + "Records";

    public static string EmitRegistry(string kind, IReadOnlyList<Schema> schemas)
    {
        var code = new CodeWriter();
        MessageEmitter.Prologue(code);
        code.Line();
        code.Line($"/// <summary>Every {kind} by the key that names its type.</summary>");
        using (code.Block($"public static class {RegistryName(kind)}"))
        {
            foreach (var side in schemas.SelectMany(s => s.Messages.Select(m => m.Side)).Distinct())
            {
                var method = side == "body" ? "Read" : "Read" + char.ToUpperInvariant(side[0]) + side[1..];
                code.Line($"/// <summary>Decodes the {side} of the record type <paramref name=\"recordKey\"/>.</summary>");
                code.Line("/// <exception cref=\"ProtocolException\">The type or version is not known, or the bytes are "
                    + "malformed.</exception>");
                using (code.Block(
                    $"public static IRecordMessage {method}(short recordKey, short version, ref WireReader reader) => recordKey switch"))
                {
                    foreach (var schema in schemas.OrderBy(s => s.Key))
                        code.Line($"{schema.Key} => {schema.Messages.Single(m => m.Side == side).Name}.Read(ref reader, version),");
                    code.Line($"_ => throw new UnknownRecordTypeException(\"{kind}\", recordKey),");
                }

                code.Line(";");
                code.Line();
            }

            code.Line("/// <summary>The name that Kafka's tools give to the record type <paramref name=\"recordKey\"/>; its number when "
                + "it is not known.</summary>");
            using (code.Block("public static string NameOf(short recordKey) => recordKey switch"))
            {
                foreach (var schema in schemas.OrderBy(s => s.Key))
                    code.Line($"{schema.Key} => \"{UpperSnakeCase(schema.Name)}\",");
                code.Line("_ => recordKey.ToString(System.Globalization.CultureInfo.InvariantCulture),");
            }

            code.Line(";");
        }

        return code.ToString();
    }

    private static string UpperSnakeCase(string name) =>
        string.Concat(name.Select((letter, i) => i > 0 && char.IsUpper(letter) ? $"_{letter}" : $"{char.ToUpperInvariant(letter)}"));
}
