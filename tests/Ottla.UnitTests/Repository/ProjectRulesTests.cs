using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Ottla.UnitTests.Repository;

/// <summary>Dependencies point one way only, and each has its reason.</summary>
public sealed partial class ProjectRulesTests
{
    /// <summary>What each project of src/ may refer to. Storage and Network meet only in Broker.</summary>
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Ottla.Kernel"] = [],
        ["Ottla.Protocol"] = ["Ottla.Kernel"],
        ["Ottla.Configuration"] = ["Ottla.Kernel"],
        ["Ottla.StateMachines"] = ["Ottla.Kernel", "Ottla.Protocol", "Ottla.Configuration"],
        ["Ottla.Storage"] = ["Ottla.Kernel", "Ottla.Protocol"],
        ["Ottla.Network"] = ["Ottla.Kernel"],
        ["Ottla.Requests"] = ["Ottla.Kernel", "Ottla.Protocol", "Ottla.Network"],
        ["Ottla.Broker"] =
        [
            "Ottla.Kernel", "Ottla.Protocol", "Ottla.Configuration", "Ottla.StateMachines", "Ottla.Storage", "Ottla.Network",
                "Ottla.Requests",
        ],
        ["Ottla.Client"] = ["Ottla.Kernel", "Ottla.Protocol", "Ottla.Network", "Ottla.Requests"],
        ["Ottla.Extensions.Hosting"] = ["Ottla.Client"],
        ["Ottla.SchemaRegistry"] = ["Ottla.Client"],
        ["Ottla.SchemaRegistry.Avro"] = ["Ottla.Client", "Ottla.SchemaRegistry"],
        ["Ottla.SchemaRegistry.Json"] = ["Ottla.Client", "Ottla.SchemaRegistry"],
        ["Ottla.SchemaRegistry.Protobuf"] = ["Ottla.Client", "Ottla.SchemaRegistry"],
        ["Ottla.Testing"] = ["Ottla.Broker", "Ottla.Client"],
        ["Ottla.Cli"] = ["Ottla.Broker", "Ottla.Client", "Ottla.Requests"],
    };

    /// <summary>A tool that only runs during the build.</summary>
    private const string BuildTool = "Ottla.SchemaCompiler";

    [Fact]
    public void Dependencies_point_one_way_only()
    {
        var projects = RepositoryFiles.Find("src", "*.csproj").ToList();
        Assert.NotEmpty(projects);
        foreach (var project in projects)
        {
            var name = Path.GetFileNameWithoutExtension(project);
            Assert.True(Allowed.TryGetValue(name, out var allowed), $"{name} has no rule yet: say here what it may refer to");
            foreach (var reference in XDocument.Load(project).Descendants("ProjectReference"))
            {
                var target = Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value.Replace('\\', '/'));
                if (target == BuildTool)
                    Assert.True(reference.Attribute("ReferenceOutputAssembly")?.Value == "false", $"{name} must not link {target}");
                else
                    Assert.True(allowed.Contains(target), $"{name} must not refer to {target}");
            }
        }
    }

    [Fact]
    public void Nothing_in_src_refers_to_another_assembly_but_by_project_or_package()
    {
        foreach (var project in RepositoryFiles.Find("src", "*.csproj"))
            Assert.False(XDocument.Load(project).Descendants("Reference").Any(), RepositoryFiles.Relative(project));
    }

    [Fact]
    public void Package_versions_are_exact()
    {
        Assert.NotEmpty(Packages());
        Assert.All(Packages(), package => Assert.Matches(ExactVersion(), package.Version));
        foreach (var project in new[] { "src", "tests", "tools" }.SelectMany(directory => RepositoryFiles.Find(directory, "*.csproj")))
            Assert.All(XDocument.Load(project).Descendants("PackageReference"), reference => Assert.True(
                reference.Attribute("Version") is null
                && reference.Attribute("VersionOverride") is null, RepositoryFiles.Relative(project)));
    }

    [Fact]
    public void Every_package_has_a_reason()
    {
        var rows = File.ReadLines(RepositoryFiles.Path("docs/dependencies.md"))
            .Select(line => line.Split('|', StringSplitOptions.TrimEntries))
            .Where(cells => cells.Length == 7 && PackageName().IsMatch(cells[1]))
            .ToDictionary(cells => cells[1].Trim('`'), cells => cells);
        Assert.Equal(Packages().Select(p => p.Name).Order(StringComparer.Ordinal), rows.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, version) in Packages())
        {
            Assert.Equal(version.Trim('[', ']'), rows[name][2]);
            Assert.All(rows[name][3..6], cell => Assert.NotEqual("", cell)); // licence, where, why
        }
    }

    [Fact]
    public void Every_package_is_used()
    {
        var used = RepositoryFiles.Find(".", "*.csproj").Append(RepositoryFiles.Path("Directory.Build.props"))
            .SelectMany(file => XDocument.Load(file).Descendants("PackageReference"))
            .Select(reference => reference.Attribute("Include")!.Value)
            .ToHashSet();
        Assert.All(Packages(), package => Assert.Contains(package.Name, used));
    }

    private static List<(string Name, string Version)> Packages() =>
        [.. XDocument.Load(RepositoryFiles.Path("Directory.Packages.props")).Descendants("PackageVersion")
            .Select(p => (p.Attribute("Include")!.Value, p.Attribute("Version")!.Value))];

    [GeneratedRegex(@"^\[\d+(\.\d+)+(-[0-9A-Za-z.-]+)?\]$")]
    private static partial Regex ExactVersion();

    [GeneratedRegex(@"^`[\w.]+`$")]
    private static partial Regex PackageName();
}
