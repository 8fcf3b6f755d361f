using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Network.Security;
using Ottla.StateMachines.Security;

namespace Ottla.UnitTests.Security;

/// <summary>Names of principals, as Kafka makes and sends them.</summary>
public sealed class PrincipalTests
{
    private const string NoRule = "(NoMatchingRule";

    public static TheoryData<string> MappingRules() =>
        [.. File.ReadLines(GoldenData.Path("security/principal-mapping.jsonl")).Where(line => line.Length > 0)];

    [Theory]
    [MemberData(nameof(MappingRules))]
    public void Mapping_rules_give_the_names_that_Kafka_gives(string line)
    {
        var recorded = JsonDocument.Parse(line).RootElement;
        var rules = recorded.GetProperty("rules").GetString()!;
        if (!recorded.TryGetProperty("names", out var names))
        {
            Assert.Contains("ssl.principal.mapping.rules", Assert.Throws<ConfigException>(() => PrincipalMapping.Parse(rules)).Message,
                StringComparison.Ordinal);
            return;
        }

        var mapping = PrincipalMapping.Parse(rules);
        foreach (var name in names.EnumerateObject())
        {
            var expected = name.Value.GetString()!;
            Assert.Equal(expected.StartsWith(NoRule, StringComparison.Ordinal) ? null : expected, mapping.NameOf(name.Name));
        }
    }

    [Fact]
    public void Principals_have_the_bytes_of_Kafka()
    {
        var seen = 0;
        foreach (var line in File.ReadLines(GoldenData.Path("security/principal.jsonl")).Where(line => line.Length > 0))
        {
            var recorded = JsonDocument.Parse(line).RootElement;
            if (GoldenLogins.NameOf(recorded) != "principal bytes")
                continue;
            var principal = new ClientPrincipal(
                recorded.GetProperty("type").GetString()!, recorded.GetProperty("name").GetString()!,
                recorded.GetProperty("tokenAuthenticated").GetBoolean());
            Assert.Equal(recorded.GetProperty("hex").GetString(), Convert.ToHexStringLower(principal.Serialize()));
            Assert.Equal(principal, ClientPrincipal.Deserialize(principal.Serialize()));
            seen++;
        }

        Assert.True(seen > 5);
    }

    [Theory]
    [InlineData("O=test,OU=sec,CN=alice", "CN=alice, OU=sec, O=test")]
    [InlineData("CN=\\#a\\,b\\+c\\\"d\\\\e\\;f", "CN=\"#a,b+c\"\"d\\e;f\"")]
    public void Subjects_are_written_as_RFC_2253_says(string expected, string subject) =>
        Assert.Equal(expected, DistinguishedName.Format(new X500DistinguishedName(subject, X500DistinguishedNameFlags.None)));

    [Fact]
    public void Attributes_without_a_name_are_written_as_numbers()
    {
        var builder = new X500DistinguishedNameBuilder();
        builder.AddEmailAddress("a@b.test");
        builder.AddDomainComponent("dc1");
        builder.AddCommonName("älice");
        Assert.Equal(
            "1.2.840.113549.1.9.1=#16086140622e74657374,DC=dc1,CN=älice", DistinguishedName.Format(builder.Build()));
    }
}
