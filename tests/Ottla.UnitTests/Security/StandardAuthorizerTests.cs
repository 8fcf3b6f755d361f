using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Security;

/// <summary>The authorizer, without a broker.</summary>
public sealed class StandardAuthorizerTests
{
    private const string Alice = "User:alice";
    private const string Bob = "User:bob";

    private static readonly IPAddress Home = IPAddress.Parse("10.1.2.3");

    [Fact]
    public void Nobody_may_do_what_no_entry_allows()
    {
        Assert.False(Allows([], Alice, AclOperation.Read));
        Assert.False(Allows([Entry(principal: Bob)], Alice, AclOperation.Read));
        Assert.False(Allows([Entry(name: "other")], Alice, AclOperation.Read));
        Assert.False(Allows([Entry(type: ResourceType.Group)], Alice, AclOperation.Read));
        Assert.True(Allows([Entry()], Alice, AclOperation.Read));
        Assert.True(Allows([Entry(principal: "User:*")], Alice, AclOperation.Read));
        Assert.True(Allows([Entry(operation: 2)], Alice, AclOperation.Alter));
    }

    [Theory]
    [InlineData("*", 3, true)]
    [InlineData("t", 3, true)]
    [InlineData("t", 4, true)]
    [InlineData("", 4, true)]
    [InlineData("to", 4, false)]
    [InlineData("*", 4, false)] // a prefix "*" is no wildcard
    public void Patterns(string name, sbyte pattern, bool isAllowed) =>
        Assert.Equal(isAllowed, Allows([Entry(name: name, pattern: pattern)], Alice, AclOperation.Read));

    [Fact]
    public void An_entry_that_denies_beats_all_that_allow()
    {
        AclEntry[] denials =
        [
            Entry(permission: 2), Entry(permission: 2, name: "*"), Entry(permission: 2, pattern: 4), Entry(permission: 2, operation: 2),
            Entry(permission: 2, principal: "User:*"), Entry(permission: 2, host: "10.1.2.3"), Entry(permission: 2, host: "10.0.0.0/8"),
        ];
        foreach (var denial in denials)
            Assert.False(Allows([Entry(), Entry(name: "*"), Entry(operation: 2), denial], Alice, AclOperation.Read));
    }

    [Theory]
    [InlineData(AclOperation.Read, AclOperation.Describe)]
    [InlineData(AclOperation.Write, AclOperation.Describe)]
    [InlineData(AclOperation.Delete, AclOperation.Describe)]
    [InlineData(AclOperation.Alter, AclOperation.Describe)]
    [InlineData(AclOperation.AlterConfigs, AclOperation.DescribeConfigs)]
    public void Operations_imply_others_where_they_are_allowed_but_not_where_they_are_denied(AclOperation operation, AclOperation implied)
    {
        Assert.True(Allows([Entry(operation: (sbyte)operation)], Alice, implied));
        Assert.False(Allows([Entry(operation: (sbyte)implied)], Alice, operation));
        Assert.True(Allows([Entry(operation: (sbyte)implied), Entry(operation: (sbyte)operation, permission: 2)], Alice, implied));
    }

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("127.0.0.0/8", true)]
    [InlineData("127.0.0.0/30", true)]
    [InlineData("127.0.0.1/32", true)]
    [InlineData("0.0.0.0/0", true)]
    [InlineData("127.9.9.9/8", true)] // bits of hosts are left out
    [InlineData("127.0.0.2/31", false)]
    [InlineData("localhost", false)]
    [InlineData("::/0", false)]
    [InlineData("127.1", false)]
    [InlineData("*.1", false)]
    [InlineData("", false)]
    public void Hosts_are_addresses_and_networks(string host, bool isAllowed)
    {
        Assert.Equal(isAllowed, Allows([Entry(host: host)], Alice, AclOperation.Read, from: IPAddress.Loopback));
        Assert.Equal(isAllowed, Allows([Entry(host: host)], Alice, AclOperation.Read, from: IPAddress.Loopback.MapToIPv6()));
    }

    [Theory]
    [InlineData("fe80::/10", true)]
    [InlineData("fe80:0:0:0:0:0:0:1", true)]
    [InlineData("fe80::1", true)]
    [InlineData("::/0", true)]
    [InlineData("fe80::2", false)]
    [InlineData("0.0.0.0/0", false)]
    public void Hosts_of_IPv6(string host, bool isAllowed) =>
        Assert.Equal(isAllowed, Allows([Entry(host: host)], Alice, AclOperation.Read, from: IPAddress.Parse("fe80::1")));

    [Fact]
    public void Super_users_may_do_everything_also_before_the_entries_are_loaded()
    {
        var authorizer = new StandardAuthorizer(Settings(supers: [Alice]));
        var before = authorizer.AccessOf(Alice, ClientHost.From(Home));
        Assert.True(before.Allows(AclOperation.Alter, ResourceType.Cluster, "kafka-cluster"));
        Assert.False(authorizer.AccessOf(Bob, ClientHost.From(Home)).Allows(AclOperation.Read, ResourceType.Topic, "t"));
        authorizer.Set(IndexOf([Entry(permission: 2, operation: 2), Entry(principal: Bob)]));
        Assert.False(authorizer.IsCurrent(before));
        Assert.True(authorizer.AccessOf(Alice, ClientHost.From(Home)).Allows(AclOperation.Read, ResourceType.Topic, "t"));
        Assert.True(authorizer.AccessOf(Alice, ClientHost.From(Home)).AllowsOnAny(AclOperation.Write, ResourceType.Topic));
        Assert.True(authorizer.AccessOf(Bob, ClientHost.From(Home)).Allows(AclOperation.Read, ResourceType.Topic, "t"));
    }

    [Fact]
    public void Everyone_may_use_what_no_entry_is_about_if_configured()
    {
        var authorizer = new StandardAuthorizer(Settings(allowsEveryone: true));
        Assert.False(authorizer.AccessOf(Alice, ClientHost.From(Home)).Allows(AclOperation.Read, ResourceType.Topic, "t"));
        authorizer.Set(IndexOf([Entry(principal: Bob, name: "t"), Entry(principal: Bob, name: "pre", pattern: 4)]));
        var access = authorizer.AccessOf(Alice, ClientHost.From(Home));
        Assert.True(access.Allows(AclOperation.Read, ResourceType.Topic, "free"));
        Assert.False(access.Allows(AclOperation.Read, ResourceType.Topic, "t"));
        Assert.False(access.Allows(AclOperation.Read, ResourceType.Topic, "prefixed"));
        Assert.True(access.Allows(AclOperation.Read, ResourceType.Group, "t"));
        Assert.True(access.AllowsOnAny(AclOperation.Write, ResourceType.Topic));
    }

    [Fact]
    public void Write_on_any_topic()
    {
        Assert.True(AllowsAny(Write("a")));
        Assert.True(AllowsAny(Write("a", pattern: 4)));
        Assert.True(AllowsAny(Write("*")));
        Assert.True(AllowsAny(Entry(operation: 2)));
        Assert.False(AllowsAny());
        Assert.False(AllowsAny(Entry(operation: (sbyte)AclOperation.Read)));
        Assert.False(AllowsAny(Write("abc"), Deny("abc")));
        Assert.False(AllowsAny(Write("abc"), Deny("ab", pattern: 4)));
        Assert.False(AllowsAny(Write("abc"), Deny("*")));
        Assert.False(AllowsAny(Write("abc", pattern: 4), Deny("abc", pattern: 4)));
        Assert.True(AllowsAny(Write("abc", pattern: 4), Deny("abc")));
        Assert.True(AllowsAny(Write("abc", pattern: 4), Deny("abcd", pattern: 4)));
        Assert.True(AllowsAny(Write("*"), Deny("abc")));

        static AclEntry Write(string name, sbyte pattern = 3) => Entry(name: name, pattern: pattern, operation: (sbyte)AclOperation.Write);
        static AclEntry Deny(string name, sbyte pattern = 3) =>
            Entry(name: name, pattern: pattern, operation: (sbyte)AclOperation.Write, permission: 2);
        static bool AllowsAny(params AclEntry[] entries)
        {
            var authorizer = new StandardAuthorizer(Settings());
            authorizer.Set(IndexOf(entries));
            return authorizer.AccessOf(Alice, ClientHost.From(Home)).AllowsOnAny(AclOperation.Write, ResourceType.Topic);
        }
    }

    /// <summary>CVE-2024-27309: to delete one of several entries must not drop the others.</summary>
    [Fact]
    public void CVE_2024_27309_an_index_that_changes_step_by_step_says_what_a_list_of_entries_says()
    {
        string[] names = ["*", "a", "ab", "abc", "abd", "b", "ba", ""];
        string[] principals = [Alice, Bob, "User:*"];
        string[] hosts = ["*", "10.1.2.3", "10.0.0.0/8", "10.1.2.4"];
        var random = new Prng(20_261_130);
        var index = AclIndex.Empty;
        var entries = ImmutableDictionary<Uuid, AclEntry>.Empty;
        var authorizer = new StandardAuthorizer(Settings());
        for (var step = 0; step < 2_000; step++)
        {
            var touched = new List<Uuid>();
            for (var i = random.NextInt(1, 4); i > 0; i--)
            {
                if (entries.Count > 0 && random.NextChance(45))
                {
                    var removed = entries.Keys.ElementAt(random.NextInt(entries.Count));
                    entries = entries.Remove(removed);
                    touched.Add(removed);
                }
                else
                {
                    var added = Entry(
                        Pick(principals), (ResourceType)random.NextInt(2, 4), Pick(names), (sbyte)random.NextInt(3, 5), Pick(hosts),
                        (sbyte)random.NextInt(2, 16), (sbyte)random.NextInt(2, 4), Uuid.NewRandom(random));
                    entries = entries.Add(added.Id, added);
                    touched.Add(added.Id);
                }
            }

            index = index.With(new AclsImage(entries), touched);
            authorizer.Set(index);
            var principal = Pick([Alice, Bob]);
            var access = authorizer.AccessOf(principal, ClientHost.From(Home));
            foreach (var name in (string[])["a", "ab", "abc", "abcd", "b", "c"])
            {
                foreach (var operation in Enum.GetValues<AclOperation>())
                {
                    var expected = ListSays(entries.Values, principal, operation, ResourceType.Topic, name);
                    Assert.True(
                        expected == access.Allows(operation, ResourceType.Topic, name), $"step {step}: {principal} {operation} {name}");
                }
            }
        }

        string Pick(string[] of) => of[random.NextInt(of.Length)];
    }

    [Fact]
    public void Authorizing_with_ten_thousand_entries_allocates_nothing()
    {
        var authorizer = new StandardAuthorizer(Settings());
        authorizer.Set(IndexOf([.. Enumerable.Range(0, 10_000).Select(i => Entry(
            i % 2 == 0 ? Alice : "User:*", name: $"topic-{i:D6}", pattern: i % 3 == 0 ? (sbyte)4 : (sbyte)3,
            operation: (sbyte)AclOperation.Write))]));
        var access = authorizer.AccessOf(Alice, ClientHost.From(Home));
        Assert.True(access.Allows(AclOperation.Write, ResourceType.Topic, "topic-005000"));
        var before = GC.GetAllocatedBytesForCurrentThread();
        var allowed = 0;
        for (var i = 0; i < 10_000; i++)
            allowed += access.Allows(AclOperation.Write, ResourceType.Topic, "topic-005000") ? 1 : 0;
        Assert.Equal((10_000, 0L), (allowed, GC.GetAllocatedBytesForCurrentThread() - before));
    }

    /// <summary>The rule as it is told, over all entries.</summary>
    private static bool ListSays(
        IEnumerable<AclEntry> entries, string principal, AclOperation operation, ResourceType type, string name)
    {
        var matching = entries.Where(entry => entry.ResourceType == (sbyte)type
            && (entry.Principal == principal || entry.Principal == "User:*")
            && entry.Host is "*" or "10.1.2.3" or "10.0.0.0/8"
            && (entry.PatternType == 4 ? name.StartsWith(entry.ResourceName, StringComparison.Ordinal)
                : entry.ResourceName == name || entry.ResourceName == "*")).ToList();
        if (matching.Exists(entry => entry.PermissionType == 2 && (entry.Operation == 2 || entry.Operation == (sbyte)operation)))
            return false;
        return matching.Exists(entry => entry.PermissionType == 3 && (entry.Operation == 2 || entry.Operation == (sbyte)operation
            || (operation == AclOperation.Describe && (AclOperation)entry.Operation
                is AclOperation.Read or AclOperation.Write or AclOperation.Delete or AclOperation.Alter)
            || (operation == AclOperation.DescribeConfigs && (AclOperation)entry.Operation is AclOperation.AlterConfigs)));
    }

    private static bool Allows(AclEntry[] entries, string principal, AclOperation operation, IPAddress? from = null)
    {
        var authorizer = new StandardAuthorizer(Settings());
        authorizer.Set(IndexOf(entries));
        return authorizer.AccessOf(principal, ClientHost.From(from ?? Home)).Allows(operation, ResourceType.Topic, "t");
    }

    private static AclIndex IndexOf(AclEntry[] entries)
    {
        var image = new AclsImage(entries.ToImmutableDictionary(entry => entry.Id));
        return AclIndex.Empty.With(image, image.ById.Keys);
    }

    private static AuthorizerSettings Settings(string[]? supers = null, bool allowsEveryone = false) =>
        new((supers ?? []).ToFrozenSet(), allowsEveryone);

    private static AclEntry Entry(
        string principal = Alice, ResourceType type = ResourceType.Topic, string name = "t", sbyte pattern = 3, string host = "*",
        sbyte operation = (sbyte)AclOperation.Read, sbyte permission = 3, Uuid? id = null) =>
        new(id ?? Uuid.NewRandom(), (sbyte)type, name, pattern, principal, host, operation, permission);
}
