using CsCheck;
using Ottla.Configuration;

namespace Ottla.UnitTests.Configuration;

public sealed class JavaPropertiesTests
{
    [Theory]
    [InlineData("a=b", "a", "b")]
    [InlineData("a:b", "a", "b")]
    [InlineData("a b", "a", "b")]
    [InlineData("  a \t = \t b ", "a", "b ")]
    [InlineData("a", "a", "")]
    [InlineData("a=", "a", "")]
    [InlineData("=b", "", "b")]
    [InlineData("a==b", "a", "=b")]
    [InlineData("a = = b", "a", "= b")]
    [InlineData("a\\=b=c", "a=b", "c")]
    [InlineData("a\\ b c", "a b", "c")]
    [InlineData("a\\:b:c", "a:b", "c")]
    [InlineData("a=b\\\n   c", "a", "bc")]
    [InlineData("a=b\\\r\n\tc", "a", "bc")]
    [InlineData("a=b\\\\\nc=d", "a", "b\\")]
    [InlineData("a=b\\\n# not a comment", "a", "b# not a comment")]
    [InlineData("# c\n! d\n\n  # e\na=b", "a", "b")]
    [InlineData("a=b\rc=d", "a", "b")]
    [InlineData("a=\\u00e9\\t\\n\\r\\f\\q", "a", "\u00e9\t\n\r\fq")]
    [InlineData("a=b\\", "a", "b")]
    [InlineData("a=1\na=2", "a", "2")]
    [InlineData("listeners=PLAINTEXT://:9092", "listeners", "PLAINTEXT://:9092")]
    [InlineData("a=b # c", "a", "b # c")]
    public void Parses(string text, string key, string value) => Assert.Equal(value, JavaProperties.Parse(text)[key]);

    [Fact]
    public void CommentsAndBlankLinesAreNothing() => Assert.Empty(JavaProperties.Parse("#a=b\n\n   \n!c=d\\\n"));

    [Theory]
    [InlineData("a=\\u12")]
    [InlineData("a=\\uxyzw")]
    public void RefusesMalformedUnicode(string text) =>
        Assert.StartsWith("Malformed \\uXXXX encoding", Assert.Throws<ConfigException>(() => JavaProperties.Parse(text)).Message);

    [Fact]
    public void WritesAsJavaDoes()
    {
        var text = JavaProperties.Write([new("cluster.id", "abc=="), new("a b", " x y"), new("p", "c:\\d\u00e9")], "one\ntwo");
        Assert.Equal("#one\n#two\ncluster.id=abc\\=\\=\na\\ b=\\ x y\np=c\\:\\\\d\\u00E9\n", text);
    }

    [Fact]
    public void ReadsWhatItWrote() =>
        Gen.Dictionary(Gen.String, Gen.String)[0, 8].Sample(
            properties =>
            JavaProperties.Parse(JavaProperties.Write(properties, "comment")).OrderBy(pair => pair.Key, StringComparer.Ordinal)
                .SequenceEqual(properties.OrderBy(pair => pair.Key, StringComparer.Ordinal)),
            iter: 2000, seed: "0000KxBGwJ0a");

    [Fact]
    public void KeepsTheOrderOfTheFile() =>
        Assert.Equal(["z", "a", "m"], JavaProperties.Parse("z=1\na=2\nm=3\na=4").Keys);
}
