using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Controller;

namespace Ottla.UnitTests.Controller;

/// <summary>What the controller decides about access control entries.</summary>
public sealed class AclCommandTests
{
    private readonly ControllerTestBed _bed = ControllerTestBed.WithBrokers();

    [Fact]
    public void An_entry_is_created_once()
    {
        Assert.Equal([ApiError.None, ApiError.None], Create(Binding(), Binding()));
        var record = Assert.IsType<AccessControlEntryRecord>(Assert.Single(_bed.LastRecords).Message);
        Assert.Equal(((sbyte)2, "t", (sbyte)3, "User:a", "*", (sbyte)3, (sbyte)3), (
            record.ResourceType, record.ResourceName, record.PatternType, record.Principal, record.Host, record.Operation,
            record.PermissionType));
        Assert.Equal([ApiError.None], Create(Binding()));
        Assert.Empty(_bed.LastRecords);
        Assert.Single(_bed.Image.Acls.ById);
    }

    [Theory]
    [InlineData(4, "other", 3, "User:a", "*", 3, 3, "The only valid name for the CLUSTER resource is kafka-cluster")]
    [InlineData(2, "", 3, "User:a", "*", 3, 3, "Invalid empty resource name")]
    [InlineData(99, "t", 3, "User:a", "*", 3, 3, "Invalid resourceType UNKNOWN")]
    [InlineData(2, "t", 99, "User:a", "*", 3, 3, "Invalid patternType UNKNOWN")]
    [InlineData(2, "t", 3, "User:a", "*", 99, 3, "Invalid operation UNKNOWN")]
    [InlineData(2, "t", 3, "User:a", "*", 3, 99, "Invalid permissionType UNKNOWN")]
    [InlineData(2, "t", 3, "a", "*", 3, 3,
        "Could not parse principal from `a` (no colon is present separating the principal type from the principal name)")]
    [InlineData(2, "t", 3, "User:a", "", 3, 3, "Host pattern cannot be null or empty")]
    [InlineData(2, "t", 3, "User:a", "10.0.0.0/33", 3, 3, "Invalid CIDR notation '10.0.0.0/33': Value [33] not in range [0,32]")]
    [InlineData(2, "t", 3, "User:a", "x/8", 3, 3, "Invalid CIDR notation 'x/8': Could not parse [x/8]")]
    public void A_bad_entry_fails_alone(
        sbyte type, string name, sbyte pattern, string principal, string host, sbyte operation, sbyte permission, string message)
    {
        var errors = Create(new AclBinding(type, name, pattern, principal, host, operation, permission), Binding());
        Assert.Equal([new ApiError(ErrorCode.InvalidRequest, message), ApiError.None], errors);
        Assert.Single(_bed.LastRecords);
    }

    [Fact]
    public void A_filter_deletes_what_it_matches_and_an_entry_of_two_filters_is_in_both_answers()
    {
        Create(Binding(), Binding("u"), Binding("t", principal: "User:b"), Binding("t", pattern: 4));
        var filter = new AclFilter(1, "t", 3, null, null, 1, 1);
        var deletions = _bed.Do(new DeleteAclsCommand([filter, filter with { Principal = "User:a" }, filter with { ResourceType = 99 }]));
        Assert.Equal([2, 1, 0], deletions.Select(deletion => deletion.Deleted.Count));
        Assert.Equal(new ApiError(ErrorCode.InvalidRequest, "Unknown patternFilter."), deletions[2].Error);
        Assert.Equal(2, _bed.LastRecords.Count);
        Assert.Equal(["t", "u"], _bed.Image.Acls.ById.Values.Select(entry => entry.ResourceName).Order());
    }

    [Fact]
    public void No_more_than_ten_thousand_entries_are_deleted_at_once()
    {
        for (var i = 0; i < 11; i++)
            Create([.. Enumerable.Range(0, 1_000).Select(j => Binding($"t-{i}-{j}"))]);
        var refused = Assert.Throws<ApiException>(() => _bed.Do(new DeleteAclsCommand([new AclFilter(1, null, 1, null, null, 1, 1)])));
        Assert.Equal(
            new ApiError(ErrorCode.InvalidRequest, "Cannot remove more than 10000 acls in a single delete operation."), refused.Error);
        Assert.Equal(11_000, _bed.Image.Acls.ById.Count);
    }

    private IReadOnlyList<ApiError> Create(params AclBinding[] bindings) => _bed.Do(new CreateAclsCommand(bindings));

    private static AclBinding Binding(string name = "t", string principal = "User:a", sbyte pattern = 3) =>
        new(2, name, pattern, principal, "*", 3, 3);
}
