using System.Reflection;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Client.Docs;

/// <summary>The C# of the client's documents is part of the build: see Snippets.targets.</summary>
public sealed class SnippetTests
{
    [Fact]
    public void Every_page_with_code_is_compiled()
    {
        const BindingFlags any = BindingFlags.NonPublic | BindingFlags.Instance;
        var pages = RepositoryFiles.Find("docs/client", "*.md").Where(page => File.ReadAllText(page).Contains("```csharp\n")).ToList();
        Assert.NotEmpty(pages);
        foreach (var page in pages)
        {
            var name = $"Page_{Path.GetFileNameWithoutExtension(page).Replace('-', '_')}";
            var method = typeof(SnippetContext).GetMethod(name, any);
            Assert.True(method is not null, $"{RepositoryFiles.Relative(page)} is not compiled");
            Assert.True(method.GetMethodBody()!.LocalVariables.Count > 0);
        }
    }
}
