namespace Ottla.Cli.KafkaTools.MetadataShell;

/// <summary>A file or a directory of the tree as which the shell shows metadata. What is in it is made when somebody looks.</summary>
internal sealed class MetadataNode
{
    private readonly Func<string>? _text;
    private readonly Lazy<SortedDictionary<string, MetadataNode>> _children;

    private MetadataNode(Func<string>? text, Func<IEnumerable<(string Name, MetadataNode Node)>> children)
    {
        _text = text;
        _children = new Lazy<SortedDictionary<string, MetadataNode>>(() =>
        {
            var sorted = new SortedDictionary<string, MetadataNode>(StringComparer.Ordinal);
            foreach (var (name, node) in children())
                sorted.Add(name, node);
            return sorted;
        });
    }

    /// <summary>Whether it has children and no text.</summary>
    public bool IsDirectory => _text is null;

    /// <summary>The children of a directory by their names, sorted; empty for a file.</summary>
    public IReadOnlyDictionary<string, MetadataNode> Children => _children.Value;

    /// <summary>The text of a file; empty for a directory.</summary>
    public string Text => _text?.Invoke() ?? "";

    /// <summary>Makes a file.</summary>
    public static MetadataNode File(Func<string> text) => new(text, () => []);

    /// <summary>Makes a directory.</summary>
    public static MetadataNode Directory(Func<IEnumerable<(string Name, MetadataNode Node)>> children) => new(null, children);
}
