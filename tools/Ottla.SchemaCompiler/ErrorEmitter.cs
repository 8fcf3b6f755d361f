namespace Ottla.SchemaCompiler;

/// <summary>
/// Emits the response of an API to a request that fails as a whole: the error codes, and what the schema says comes from the request.
/// Also emits the count of a response's error codes.
/// </summary>
internal static class ErrorEmitter
{
    private const string ErrorMessage = "ErrorMessage";

    /// <summary>The fields that say whether something failed.</summary>
    private static readonly string[] s_errorCodes = ["ErrorCode", "PartitionErrorCode"];

    public static void Emit(CodeWriter code, Schema schema)
    {
        var (request, response) = (schema.Messages[0], schema.Messages[1]);
        code.Line("/// <inheritdoc/>");
        using var _ = code.Block($"public {response.Name} ToErrorResponse(short version, short errorCode, string? errorMessage)");
        code.Line($"var response = new {response.Name}();");
        EmitFields(code, request, response, response.Body, "response", new Source(request.Body, "this", null), response.Versions);
        code.Line("return response;");
    }

    /// <summary>Emits what adds up the error codes of a response, or of a part of one that has any.</summary>
    public static void EmitCount(CodeWriter code, Message message, Struct owner)
    {
        if (owner != message.Body && !HasErrors(message, owner))
            return;
        code.Line();
        code.Line("/// <inheritdoc cref=\"IResponseMessage{TSelf}.CountErrors\"/>");
        var access = owner == message.Body ? "public" : "internal";
        using var _ = code.Block($"{access} void CountErrors(short version, ref ErrorTally tally)");
        foreach (var field in owner.Fields)
        {
            var condition = Condition(field, owner.Versions.Intersect(message.Versions));
            if (s_errorCodes.Contains(field.Name))
                code.Line($"{condition}tally.Add({field.Name});");
            else if (field.IsStruct && HasErrors(message, StructOf(message, field)))
                EmitCountOf(code, field, condition);
        }
    }

    /// <summary>Finds what cannot be emitted.</summary>
    public static void Check(Schema schema, Func<Field, string, Exception> error)
    {
        var (request, response) = (schema.Messages[0], schema.Messages[1]);
        CheckFields(response.Body, new Source(request.Body, "", null), []);

        void CheckFields(Struct owner, Source source, string[] elementNames)
        {
            foreach (var field in owner.Fields)
            {
                foreach (var name in field.Sources)
                {
                    var path = PathOf(request, source, name);
                    if (field.IsArray && path is { Count: > 0 })
                        CheckFields(StructOf(response, field), SourceOf(request, path[^1], ""), [.. field.Sources.Select(LastName)]);
                    else if (field.IsArray || !(elementNames.Contains(name) || HasScalar(source, name)))
                        throw error(field, $"the request has no {name} here");
                }
            }
        }
    }

    private static void EmitCountOf(CodeWriter code, Field field, string condition)
    {
        if (!field.IsArray)
        {
            code.Line($"{condition}{field.Name}{(field.IsNullable ? "?" : "")}.CountErrors(version, ref tally);");
            return;
        }

        using var _ = code.Block($"{condition}foreach (var part in {field.Name}{(field.IsNullable ? " ?? []" : "")})");
        code.Line("part.CountErrors(version, ref tally);");
    }

    private static bool HasErrors(Message message, Struct owner) => owner.Fields.Exists(field =>
        s_errorCodes.Contains(field.Name) || (field.IsStruct && HasErrors(message, StructOf(message, field))));

    private static bool HasScalar(Source source, string name) =>
        source.Owner?.Fields.Exists(each => each.Name == name && !each.IsArray) == true;

    private static void EmitFields(
        CodeWriter code, Message request, Message response, Struct owner, string target, Source source, VersionRange possible)
    {
        foreach (var field in owner.Fields)
        {
            if (ValueOf(field, source) is { } value)
                code.Line($"{Condition(field, possible)}{target}.{field.Name} = {value};");
            else if (field is { IsArray: true, Sources.Length: > 0 })
                EmitArray(code, request, response, field, target, source, possible);
        }
    }

    /// <summary>What a field gets that is not made of the request's elements; null for its default.</summary>
    private static string? ValueOf(Field field, Source source)
    {
        if (field.IsArray)
            return field.ErrorValue;
        if (s_errorCodes.Contains(field.Name))
            return "errorCode";
        if (field.Name == ErrorMessage)
            return "errorMessage";
        if (field.ErrorValue is { } value)
            return field.TypeName == "string" && value != "null" ? $"\"{value}\"" : value == "null" ? NullOf(field) : value;
        if (field.Sources.Any(source.IsElementOf))
            return source.Expression;
        // Within an element, what has the same name and type is the same thing; at the top it need not be.
        string[] names = source.IsTop ? field.Sources : [.. field.Sources, field.Name];
        var from = source.Owner?.Fields.Find(each =>
            names.Contains(each.Name) && each is { IsArray: false, IsPrimitive: true } && each.TypeName == field.TypeName);
        if (from is null)
            return null;
        var mustNotBeNull = from.IsNullable && field.TypeName == "string" && !field.NullableVersions.Contains(from.NullableVersions);
        return $"{source.Expression}.{from.Name}{(mustNotBeNull ? " ?? \"\"" : "")}";
    }

    /// <summary>Null, or the empty string at versions that have no null.</summary>
    private static string NullOf(Field field) =>
        field.TypeName == "string" && CSharp.VersionCondition(field.NullableVersions, field.Versions) is { } condition
            ? $"{condition} ? null : \"\""
            : "null";

    private static void EmitArray(
        CodeWriter code, Message request, Message response, Field field, string target, Source source, VersionRange possible)
    {
        using var _ = code.Block(Condition(field, possible).TrimEnd());
        var list = $"list{field.Name}";
        code.Line($"var {list} = new List<{response.Name}.{field.TypeName}>();");
        foreach (var path in field.Sources.Select(name => PathOf(request, source, name)!))
        {
            var blocks = new Stack<IDisposable>();
            var item = source.Expression;
            foreach (var array in path)
            {
                var collection = $"{item}.{array.Name}{(array.IsNullable ? " ?? []" : "")}";
                item = $"item{array.Name}";
                blocks.Push(code.Block($"foreach (var {item} in {collection})"));
            }

            var element = $"new{field.TypeName}";
            code.Line($"var {element} = new {response.Name}.{field.TypeName}();");
            EmitFields(
                code, request, response, StructOf(response, field), element, SourceOf(request, path[^1], item),
                field.Versions.Intersect(possible));
            code.Line($"{list}.Add({element});");
            while (blocks.TryPop(out var block))
                block.Dispose();
        }

        code.Line($"{target}.{field.Name} = [.. {list}];");
    }

    /// <summary>The arrays within arrays that <c>Outer.Inner</c> names; null when there is none of the name.</summary>
    private static List<Field>? PathOf(Message request, Source source, string path)
    {
        var arrays = new List<Field>();
        var owner = source.Owner;
        foreach (var name in path.Split('.'))
        {
            if (owner?.Fields.Find(each => each.Name == name && each.IsArray) is not { } array)
                return null;
            arrays.Add(array);
            owner = array.IsStruct ? StructOf(request, array) : null;
        }

        return arrays;
    }

    private static string LastName(string path) => path.Split('.')[^1];

    private static string Condition(Field field, VersionRange possible) =>
        CSharp.VersionCondition(field.Versions, possible) is { } condition ? $"if ({condition}) " : "";

    private static Struct StructOf(Message message, Field field) => message.Structs.Single(each => each.Name == field.TypeName);

    private static Source SourceOf(Message request, Field array, string expression) =>
        array.IsStruct ? new Source(StructOf(request, array), expression, array.Name) : new Source(null, expression, array.Name);

    /// <summary>What is copied from: the request, or an element of one of its arrays.</summary>
    /// <param name="Owner">Its struct; null for an element that is none.</param>
    /// <param name="Expression">How it is called in emitted code.</param>
    /// <param name="ElementOf">The array that it is an element of; null for the request.</param>
    private readonly record struct Source(Struct? Owner, string Expression, string? ElementOf)
    {
        public bool IsTop => ElementOf is null;

        /// <summary>Whether <paramref name="name"/> means the element itself.</summary>
        public bool IsElementOf(string name) => Owner is null && ElementOf == name;
    }
}
