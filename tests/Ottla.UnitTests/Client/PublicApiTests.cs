using System.Reflection;
using System.Text;
using Ottla.Client;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Client;

/// <summary>
/// The public surface of the client's packages is what the files beside this one say. <c>OTTLA_UPDATE_DOCS=1</c> writes them anew: a
/// change of
/// them is a change for every user, and belongs into the changelog.
/// </summary>
public sealed class PublicApiTests
{
    [Theory]
    [InlineData(typeof(OttlaClient))]
    [InlineData(typeof(Ottla.Extensions.Hosting.RecordWorkerOptions))]
    public void The_public_surface_is_as_written(Type member)
    {
        var assembly = member.Assembly;
        var path = RepositoryFiles.Path($"tests/Ottla.UnitTests/Client/PublicApi/{assembly.GetName().Name}.txt");
        var now = Describe(assembly);
        if (Environment.GetEnvironmentVariable("OTTLA_UPDATE_DOCS") == "1")
            File.WriteAllText(path, now);
        Assert.Equal(File.ReadAllText(path).ReplaceLineEndings("\n"), now);
    }

    private static string Describe(Assembly assembly)
    {
        var lines = new StringBuilder();
        foreach (var type in assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal))
        {
            lines.Append(NameOf(type)).Append(type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType)
                ? $" : {NameOf(parent)}\n" : "\n");
            const BindingFlags own = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;
            var members = type.IsEnum
                ? Enum.GetNames(type).Select(name => $"{name} = {Convert.ToInt64(Enum.Parse(type, name), null)}")
                : type.GetMembers(own).Where(IsListed).Select(Describe);
            foreach (var line in members.Order(StringComparer.Ordinal))
                lines.Append("    ").Append(line).Append('\n');
        }

        return lines.ToString();
    }

    /// <summary>What a record's compiler adds is left out, and accessors are part of their property.</summary>
    private static bool IsListed(MemberInfo member) => member is not Type
        && member is not MethodBase { IsSpecialName: true, IsConstructor: false }
        && member.Name is not ("Equals" or "GetHashCode" or "ToString" or "Deconstruct" or "PrintMembers" or "<Clone>$");

    private static string Describe(MemberInfo member) => member switch
    {
        ConstructorInfo made => $"({Parameters(made)})",
        MethodInfo method => $"{(method.IsStatic ? "static " : "")}{NameOf(method.ReturnType)} {method.Name}"
            + $"{(method.IsGenericMethod ? $"<{string.Join(", ", method.GetGenericArguments().Select(NameOf))}>" : "")}"
            + $"({Parameters(method)})",
        PropertyInfo property => $"{(property.GetMethod!.IsStatic ? "static " : "")}{NameOf(property.PropertyType)} {property.Name}"
            + $" {{ get;{(property.SetMethod is { IsPublic: true } set ? IsInit(set) ? " init;" : " set;" : "")} }}",
        FieldInfo field => $"{(field.IsLiteral ? "const " : "")}{NameOf(field.FieldType)} {field.Name}"
            + (field.IsLiteral ? $" = {field.GetRawConstantValue()}" : ""),
        EventInfo raised => $"event {NameOf(raised.EventHandlerType!)} {raised.Name}",
        _ => member.ToString()!,
    };

    private static bool IsInit(MethodInfo set) => set.ReturnParameter.GetRequiredCustomModifiers().Length > 0;

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(parameter =>
        $"{(parameter.IsOut ? "out " : parameter.IsIn ? "in " : parameter.ParameterType.IsByRef ? "ref " : "")}"
            + $"{NameOf(parameter.ParameterType)} {parameter.Name}"
            + $"{(parameter.HasDefaultValue ? $" = {parameter.RawDefaultValue ?? "default"}" : "")}"));

    private static string NameOf(Type type)
    {
        if (type.IsByRef)
            return NameOf(type.GetElementType()!);
        if (type.IsArray)
            return $"{NameOf(type.GetElementType()!)}[]";
        if (Nullable.GetUnderlyingType(type) is { } underlying)
            return $"{NameOf(underlying)}?";
        var name = type.IsGenericParameter || type.Namespace?.StartsWith("System", StringComparison.Ordinal) == true
            ? type.Name : type.FullName ?? $"{type.Namespace}.{type.Name}";
        return type.IsGenericType
            ? $"{name.Split('[')[0].Split('`')[0]}<{string.Join(", ", type.GetGenericArguments().Select(NameOf))}>"
            : name;
    }
}
