using Ottla.Cli.Commands;
using Ottla.Cli.Framework;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Cli.CommandLine;

/// <summary>Keeps docs/cli.md equal to the table of commands. <c>OTTLA_UPDATE_DOCS=1</c> writes it anew.</summary>
public sealed class CommandDocumentTests
{
    private const string Begin = "<!-- commands: generated, do not edit -->";

    private static readonly string Document = RepositoryFiles.Path("docs/cli.md");

    [Fact]
    public void The_reference_has_every_command()
    {
        var document = File.ReadAllText(Document);
        var at = document.IndexOf(Begin, StringComparison.Ordinal);
        Assert.True(at >= 0, "docs/cli.md has lost its marker");
        var expected = document[..at] + Begin + "\n" + CommandDocument.Of(RootCommandFactory.Create());
        if (Environment.GetEnvironmentVariable("OTTLA_UPDATE_DOCS") == "1")
            File.WriteAllText(Document, expected);
        else
            Assert.True(expected == document, "docs/cli.md is out of date: run './dev docs'");
    }
}
