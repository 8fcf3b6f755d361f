using Ottla.SchemaCompiler;

// Compiles every schema under the first argument into one C# file each (and the tables over all of them) in the second.
if (args is not [var schemaDirectory, var outputDirectory])
{
    Console.Error.WriteLine("usage: Ottla.SchemaCompiler SCHEMA_DIRECTORY OUTPUT_DIRECTORY");
    return 2;
}

try
{
    var schemas = Directory.EnumerateFiles(schemaDirectory, "*.schema", SearchOption.AllDirectories)
        .Order(StringComparer.Ordinal)
        .Select(SchemaParser.Parse)
        .ToList();
    SchemaRules.CheckTogether(schemas);
    Directory.CreateDirectory(outputDirectory);
    var written = new HashSet<string>();
    foreach (var schema in schemas)
        Save(schema.Kind == "api" ? schema.Name : $"{schema.Name}.{schema.Kind}", MessageEmitter.Emit(schema));
    Save("ApiKey", TableEmitter.EmitApiKeys(schemas));
    foreach (var records in schemas.Where(s => s.Kind.EndsWith("-record")).GroupBy(s => s.Kind))
        Save(TableEmitter.RegistryName(records.Key), TableEmitter.EmitRegistry(records.Key, [.. records]));

    foreach (var stale in Directory.EnumerateFiles(outputDirectory, "*.g.cs").Where(file => !written.Contains(file)))
        File.Delete(stale);
    return 0;

    void Save(string name, string content)
    {
        var path = Path.Combine(outputDirectory, name + ".g.cs");
        if (!written.Add(path))
            throw new SchemaException($"two schemas are named {name}");
        if (!File.Exists(path) || File.ReadAllText(path) != content)
            File.WriteAllText(path, content);
    }
}
catch (SchemaException e)
{
    Console.Error.WriteLine($"error: {e.Message}");
    return 1;
}
