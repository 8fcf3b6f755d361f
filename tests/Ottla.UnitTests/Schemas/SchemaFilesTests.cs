using System.Globalization;
using System.Text.RegularExpressions;
using Ottla.Protocol.Messages;
using Ottla.SchemaCompiler;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Schemas;

/// <summary>The schemas of the repository: complete, named by their numbers, and consistent.</summary>
public sealed partial class SchemaFilesTests
{
    private const int HighestApiKey = 94;

    /// <summary>Between brokers of the days of ZooKeeper; gone since Kafka 4.0.</summary>
    private static readonly int[] RemovedApiKeys = [4, 5, 6, 7];

    [Fact]
    public void Every_API_of_Kafka_is_there_once()
    {
        var keys = SchemaCatalog.Schemas.Where(s => s.Kind == "api").Select(s => s.Key!.Value).Order();
        Assert.Equal(Enumerable.Range(0, HighestApiKey + 1).Except(RemovedApiKeys), keys);
        Assert.Equal(Enumerable.Range(0, HighestApiKey + 1).Except(RemovedApiKeys), Enum.GetValues<ApiKey>().Select(key => (int)key));
    }

    [Fact]
    public void Files_are_named_by_key_and_name()
    {
        foreach (var schema in SchemaCatalog.Schemas)
        {
            var expected = schema.Kind == "api" ? $"schemas/api/{schema.Key:000}-{schema.Name}.schema" : $"{schema.Name}.schema";
            if (schema.Kind == "api")
                Assert.Equal(expected, RepositoryFiles.Relative(schema.Path));
            else
                Assert.Equal(expected, Path.GetFileName(schema.Path));
        }
    }

    [Fact]
    public void Every_schema_starts_with_its_purpose()
    {
        foreach (var file in RepositoryFiles.Find("schemas", "*.schema"))
            Assert.True(Purpose().IsMatch(File.ReadLines(file).First()), RepositoryFiles.Relative(file));
    }

    [Fact]
    public void Request_and_response_have_the_same_versions()
    {
        foreach (var schema in SchemaCatalog.Schemas.Where(s => s.Kind == "api"))
        {
            Assert.Equal(["request", "response"], schema.Messages.Select(m => m.Side));
            Assert.True(schema.Messages[0].Versions == schema.Messages[1].Versions, schema.Name);
        }
    }

    [Fact]
    public void The_table_says_what_the_schemas_say()
    {
        foreach (var schema in SchemaCatalog.Schemas.Where(s => s.Kind == "api"))
        {
            var row = Assert.Single(ApiSchemas.All, api => (int)api.Key == schema.Key);
            var request = schema.Messages[0];
            Assert.Equal(schema.Name, row.Key.ToString());
            Assert.Equal((request.Versions.Low, request.Versions.High), (row.LowestVersion, row.HighestVersion));
            Assert.Equal(request.FlexibleVersions.IsEmpty ? short.MaxValue : request.FlexibleVersions.Low, row.LowestFlexibleVersion);
            Assert.Equal(request.IsLatestVersionUnstable, row.IsLatestVersionUnstable);
            Assert.Equal((schema.Listeners.Contains("broker"), schema.Listeners.Contains("controller")), (row.OnBroker, row.OnController));
        }
    }

    [Fact]
    public void No_field_has_versions_outside_its_struct()
    {
        foreach (var message in SchemaCatalog.Schemas.SelectMany(s => s.Messages))
        {
            foreach (var owner in message.Structs)
            {
                Assert.True(message.Versions.Contains(owner.Versions), $"{message.Name}.{owner.Name}");
                foreach (var field in owner.Fields)
                {
                    Assert.True(owner.Versions.Contains(field.Versions), $"{message.Name}.{owner.Name}.{field.Name}");
                    Assert.True(field.Versions.Contains(field.NullableVersions), $"{message.Name}.{owner.Name}.{field.Name} is nullable");
                    Assert.True(
                        field.Tag is null
                        || message.FlexibleVersions.Contains(field.Versions), $"{message.Name}.{owner.Name}.{field.Name} is tagged");
                }
            }
        }
    }

    /// <summary>
    /// The parser cuts a field's versions to those of its message. Kafka's "since 0" is kept that way, but a version that is not there yet
    /// would be a slip.
    /// </summary>
    [Fact]
    public void No_line_names_a_version_that_its_message_has_not_reached()
    {
        foreach (var file in RepositoryFiles.Find("schemas", "*.schema"))
        {
            var highest = 0;
            foreach (var line in File.ReadLines(file))
            {
                if (Header().Match(line) is { Success: true } header)
                    highest = VersionRange.Parse(header.Groups["versions"].Value).High;
                if (Field().Match(line) is not { Success: true } field)
                    continue;
                foreach (Match version in Number().Matches(field.Groups["nullable"].Value + " " + field.Groups["versions"].Value))
                    Assert.True(
                        int.Parse(version.Value, CultureInfo.InvariantCulture) <= highest,
                        $"{RepositoryFiles.Relative(file)}: {line.Trim()}");
            }
        }
    }

    [GeneratedRegex(@"^# [A-Z].*\.$")]
    private static partial Regex Purpose();

    [GeneratedRegex(@"^(request|response|key|value|body) (?<versions>\S+) ")]
    private static partial Regex Header();

    [GeneratedRegex(@"^ +(struct \w+|\w+: [\[\]\w]+(\?(?<nullable>\S*))?)( (?<versions>\d\S*))?")]
    private static partial Regex Field();

    [GeneratedRegex(@"\d+")]
    private static partial Regex Number();
}
