using Ottla.Configuration;
using Ottla.Configuration.Security;

namespace Ottla.UnitTests.Security;

/// <summary>The value of <c>sasl.jaas.config</c> as Kafka's files have it.</summary>
public sealed class JaasLoginTests
{
    private const string Plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
    private const string Scram = "org.apache.kafka.common.security.scram.ScramLoginModule";

    [Fact]
    public void A_login_of_a_server_has_users_and_its_own_name()
    {
        var login = JaasLogin.Parse(
            "k", $"{Plain} required\n  username=\"admin\"\n  password='a\"b' user_admin=\"x y\" user_bob=simple;", "PLAIN");
        Assert.Equal(("admin", "a\"b"), (login.UserName, login.Password));
        Assert.Equal([KeyValuePair.Create("admin", "x y"), KeyValuePair.Create("bob", "simple")], login.Users.OrderBy(user => user.Key));
        Assert.False(login.IsToken);
    }

    [Theory]
    [InlineData("\\\"", "\"")]
    [InlineData("\\\\", "\\")]
    [InlineData("\\n\\t", "\n\t")]
    [InlineData("\\101\\7x", "A\ax")]
    [InlineData("//no comment", "//no comment")]
    [InlineData("", "")]
    public void Quoted_texts_have_escapes_as_in_Java(string written, string meant) =>
        Assert.Equal(meant, JaasLogin.Parse("k", $"{Plain} required password=\"{written}\";", "PLAIN").Password);

    [Fact]
    public void Comments_are_left_out()
    {
        var login = JaasLogin.Parse(
            "k", $"/* who */ {Scram} // how\n required /* what */ username=u password=p tokenauth=true;", "SCRAM-SHA-256");
        Assert.Equal(("u", "p", true), (login.UserName, login.Password, login.IsToken));
    }

    [Theory]
    [InlineData("", "names no login module")]
    [InlineData(Plain, "control flag")]
    [InlineData(Plain + " needed;", "control flag")]
    [InlineData(Plain + " required", "semicolon")]
    [InlineData(Plain + " required username=\"u\"", "semicolon")]
    [InlineData(Plain + " required username;", "has no value")]
    [InlineData(Plain + " required username=;", "has no value")]
    [InlineData(Plain + " required username=\"u;", "quotes")]
    [InlineData(Plain + " required; " + Plain + " required;", "several login modules")]
    [InlineData(Scram + " required;", "does not go with PLAIN")]
    [InlineData("com.example.Module required;", "is unknown")]
    public void What_is_malformed_is_named_without_its_value(string text, string reason)
    {
        var message = Assert.Throws<ConfigException>(
            () => JaasLogin.Parse("listener.name.x.plain.sasl.jaas.config", text, "PLAIN")).Message;
        Assert.Contains("listener.name.x.plain.sasl.jaas.config", message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }
}
