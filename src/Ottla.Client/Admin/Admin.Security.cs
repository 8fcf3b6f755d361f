using System.Security.Cryptography;
using Ottla.Client.Admins;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Sasl = Ottla.Protocol.Sasl;

namespace Ottla.Client;

public sealed partial class Admin
{
    private const sbyte AnyType = 1; // of resources, operations and permissions
    private const int SaltBytes = 32;

    /// <inheritdoc/>
    public async Task<AdminResults<AclBinding>> CreateAclsAsync(IEnumerable<AclBinding> acls, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(acls);
        return Outcomes(await Items.RunAsync(
            new ItemCall<AclBinding, Done, CreateAclsRequest, CreateAclsResponse>
            {
                IsRetriable = AdminErrors.OfController,
                Request = (_, asked, _) => new CreateAclsRequest
                {
                    Creations = [.. asked.Select(acl => new CreateAclsRequest.AclCreation
                    {
                        ResourceType = (sbyte)acl.ResourceType,
                        ResourceName = acl.ResourceName,
                        ResourcePatternType = (sbyte)acl.PatternType,
                        Principal = acl.Principal,
                        Host = acl.Host,
                        Operation = (sbyte)acl.Operation,
                        PermissionType = (sbyte)acl.Permission,
                    })],
                },
                Read = (answer, answers) =>
                {
                    foreach (var (acl, result) in answers.Asked.Zip(answer.Results)) // in the order of the request
                        answers.Take(acl, result.ErrorCode, result.ErrorMessage, () => default);
                },
            },
            acls, ToController<AclBinding>(), cancellation));
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<AclBinding>> DescribeAclsAsync(AclFilter filter, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(filter);
        var answer = await Calls.ToAnyNodeAsync<DescribeAclsRequest, DescribeAclsResponse>(
            _ => new DescribeAclsRequest
            {
                ResourceTypeFilter = (sbyte?)filter.ResourceType ?? AnyType,
                ResourceNameFilter = filter.ResourceName,
                PatternTypeFilter = (sbyte)filter.PatternType,
                PrincipalFilter = filter.Principal,
                HostFilter = filter.Host,
                Operation = (sbyte?)filter.Operation ?? AnyType,
                PermissionType = (sbyte?)filter.Permission ?? AnyType,
            },
            answer => ErrorOf(answer.ErrorCode, answer.ErrorMessage), AdminErrors.NoRetry, cancellation);
        return
        [
            .. answer.Resources.SelectMany(resource => resource.Acls.Select(acl => new AclBinding(
                (ResourceType)resource.ResourceType, resource.ResourceName, acl.Principal, (AclOperation)acl.Operation,
                (AclPermission)acl.PermissionType, (AclPatternType)resource.PatternType, acl.Host))),
        ];
    }

    /// <inheritdoc/>
    public async Task<AdminResults<AclFilter, AdminResults<AclBinding>>> DeleteAclsAsync(
        IEnumerable<AclFilter> filters, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(filters);
        return Results(await Items.RunAsync(
            new ItemCall<AclFilter, AdminResults<AclBinding>, DeleteAclsRequest, DeleteAclsResponse>
            {
                IsRetriable = AdminErrors.OfController,
                Request = (_, asked, _) => new DeleteAclsRequest
                {
                    Filters = [.. asked.Select(filter => new DeleteAclsRequest.DeleteAclsFilter
                    {
                        ResourceTypeFilter = (sbyte?)filter.ResourceType ?? AnyType,
                        ResourceNameFilter = filter.ResourceName,
                        PatternTypeFilter = (sbyte)filter.PatternType,
                        PrincipalFilter = filter.Principal,
                        HostFilter = filter.Host,
                        Operation = (sbyte?)filter.Operation ?? AnyType,
                        PermissionType = (sbyte?)filter.Permission ?? AnyType,
                    })],
                },
                Read = (answer, answers) =>
                {
                    foreach (var (filter, result) in answers.Asked.Zip(answer.FilterResults)) // in the order of the request
                        answers.Take(filter, result.ErrorCode, result.ErrorMessage, () => ToDeleted(result.MatchingAcls));
                },
            },
            filters, ToController<AclFilter>(), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<string, IReadOnlyList<ScramCredentialInfo>>> DescribeUserScramCredentialsAsync(
        IEnumerable<string>? users = null, CancellationToken cancellation = default)
    {
        var answer = await Calls.ToAnyNodeAsync<DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse>(
            _ => new DescribeUserScramCredentialsRequest
            {
                Users = users?.Select(user => new DescribeUserScramCredentialsRequest.UserName { Name = user }).ToArray(),
            },
            answer => ErrorOf(answer.ErrorCode, answer.ErrorMessage), AdminErrors.NoRetry, cancellation);
        return Results(answer.Results.ToDictionary(result => result.User, result => result.ErrorCode != 0
            ? new AdminResult<IReadOnlyList<ScramCredentialInfo>>((ErrorCode)result.ErrorCode, result.ErrorMessage)
            : new AdminResult<IReadOnlyList<ScramCredentialInfo>>(
                [.. result.CredentialInfos.Select(info => new ScramCredentialInfo((ScramType)info.Mechanism, info.Iterations))])));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<string>> AlterUserScramCredentialsAsync(
        IEnumerable<ScramAlteration> alterations, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(alterations);
        ScramAlteration[] all = [.. alterations];
        var deletions = all.OfType<ScramDeletion>().Select(deletion =>
            new AlterUserScramCredentialsRequest.ScramCredentialDeletion { Name = deletion.User, Mechanism = (sbyte)deletion.Mechanism })
            .ToLookup(deletion => deletion.Name);
        var upsertions = all.OfType<ScramUpsertion>().Select(ToRequest).ToLookup(upsertion => upsertion.Name);
        return Outcomes(await Items.RunAsync(
            new ItemCall<string, Done, AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse>
            {
                IsRetriable = AdminErrors.OfController,
                Request = (_, asked, _) => new AlterUserScramCredentialsRequest
                {
                    Deletions = [.. asked.SelectMany(user => deletions[user])],
                    Upsertions = [.. asked.SelectMany(user => upsertions[user])],
                },
                Read = (answer, answers) =>
                {
                    foreach (var result in answer.Results)
                        answers.Take(result.User, result.ErrorCode, result.ErrorMessage, () => default);
                },
            },
            all.Select(alteration => alteration.User), ToController<string>(), cancellation));
    }

    /// <inheritdoc/>
    public async Task<DelegationToken> CreateDelegationTokenAsync(
        Principal? owner = null, IReadOnlyCollection<Principal>? renewers = null, TimeSpan? maximumLifetime = null,
        CancellationToken cancellation = default)
    {
        var answer = await Calls.ToAnyNodeAsync<CreateDelegationTokenRequest, CreateDelegationTokenResponse>(
            _ => new CreateDelegationTokenRequest
            {
                OwnerPrincipalType = owner?.Type,
                OwnerPrincipalName = owner?.Name,
                Renewers = [.. (renewers ?? []).Select(renewer => new CreateDelegationTokenRequest.CreatableRenewers
                {
                    PrincipalType = renewer.Type,
                    PrincipalName = renewer.Name,
                })],
                MaxLifetimeMs = maximumLifetime is { } lifetime ? (long)lifetime.TotalMilliseconds : -1,
            },
            answer => ErrorOf(answer.ErrorCode), AdminErrors.ControllerRetry, cancellation);
        var named = new Principal(answer.PrincipalName, answer.PrincipalType);
        return new DelegationToken(
            answer.TokenId, answer.Hmac, named,
            answer.TokenRequesterPrincipalName.Length > 0
                ? new Principal(answer.TokenRequesterPrincipalName, answer.TokenRequesterPrincipalType) : named,
            ToTime(answer.IssueTimestampMs) ?? default, ToTime(answer.ExpiryTimestampMs) ?? default,
            ToTime(answer.MaxTimestampMs) ?? default, [.. renewers ?? []]);
    }

    /// <inheritdoc/>
    public async Task<DateTimeOffset> RenewDelegationTokenAsync(
        ReadOnlyMemory<byte> hmac, TimeSpan? period = null, CancellationToken cancellation = default)
    {
        var answer = await Calls.ToAnyNodeAsync<RenewDelegationTokenRequest, RenewDelegationTokenResponse>(
            _ => new RenewDelegationTokenRequest
            {
                Hmac = hmac.ToArray(),
                RenewPeriodMs = period is { } time ? (long)time.TotalMilliseconds : -1,
            },
            answer => ErrorOf(answer.ErrorCode), AdminErrors.ControllerRetry, cancellation);
        return ToTime(answer.ExpiryTimestampMs) ?? default;
    }

    /// <inheritdoc/>
    public async Task<DateTimeOffset> ExpireDelegationTokenAsync(
        ReadOnlyMemory<byte> hmac, TimeSpan? period = null, CancellationToken cancellation = default)
    {
        var answer = await Calls.ToAnyNodeAsync<ExpireDelegationTokenRequest, ExpireDelegationTokenResponse>(
            _ => new ExpireDelegationTokenRequest
            {
                Hmac = hmac.ToArray(),
                ExpiryTimePeriodMs = period is { } time ? (long)time.TotalMilliseconds : -1,
            },
            answer => ErrorOf(answer.ErrorCode), AdminErrors.ControllerRetry, cancellation);
        return ToTime(answer.ExpiryTimestampMs) ?? default;
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<DelegationToken>> DescribeDelegationTokenAsync(
        IReadOnlyCollection<Principal>? owners = null, CancellationToken cancellation = default)
    {
        var answer = await Calls.ToAnyNodeAsync<DescribeDelegationTokenRequest, DescribeDelegationTokenResponse>(
            _ => new DescribeDelegationTokenRequest
            {
                Owners = owners?.Select(owner => new DescribeDelegationTokenRequest.DescribeDelegationTokenOwner
                {
                    PrincipalType = owner.Type,
                    PrincipalName = owner.Name,
                }).ToArray(),
            },
            answer => ErrorOf(answer.ErrorCode), AdminErrors.NoRetry, cancellation);
        return [.. answer.Tokens.Select(ToToken)];
    }

    private static DelegationToken ToToken(DescribeDelegationTokenResponse.DescribedDelegationToken token)
    {
        var owner = new Principal(token.PrincipalName, token.PrincipalType);
        return new DelegationToken(
            token.TokenId, token.Hmac, owner,
            token.TokenRequesterPrincipalName.Length > 0
                ? new Principal(token.TokenRequesterPrincipalName, token.TokenRequesterPrincipalType) : owner,
            ToTime(token.IssueTimestamp) ?? default, ToTime(token.ExpiryTimestamp) ?? default, ToTime(token.MaxTimestamp) ?? default,
            [.. token.Renewers.Select(renewer => new Principal(renewer.PrincipalName, renewer.PrincipalType))]);
    }

    private static AdminResults<AclBinding> ToDeleted(DeleteAclsResponse.DeleteAclsMatchingAcl[] matching)
    {
        var results = new Dictionary<AclBinding, AdminResult>();
        foreach (var acl in matching)
        {
            var binding = new AclBinding(
                (ResourceType)acl.ResourceType, acl.ResourceName, acl.Principal, (AclOperation)acl.Operation,
                (AclPermission)acl.PermissionType, (AclPatternType)acl.PatternType, acl.Host);
            results[binding] = new AdminResult((ErrorCode)acl.ErrorCode, acl.ErrorMessage);
        }

        return new AdminResults<AclBinding>(results);
    }

    private static AlterUserScramCredentialsRequest.ScramCredentialUpsertion ToRequest(ScramUpsertion upsertion)
    {
        if (!Enum.IsDefined(upsertion.Mechanism))
            throw new ArgumentException($"There is no mechanism {upsertion.Mechanism}.");
        if (upsertion.Iterations is < Sasl.ScramMechanism.IterationsMin or > Sasl.ScramMechanism.IterationsMax)
        {
            throw new ArgumentException(
                $"{nameof(ScramUpsertion.Iterations)} must be from {Sasl.ScramMechanism.IterationsMin} to "
                    + $"{Sasl.ScramMechanism.IterationsMax}, and is {upsertion.Iterations}.");
        }

        var salt = upsertion.Salt?.ToArray() ?? RandomNumberGenerator.GetBytes(SaltBytes);
        var mechanism = upsertion.Mechanism == ScramType.Sha512 ? Sasl.ScramMechanism.Sha512 : Sasl.ScramMechanism.Sha256;
        return new AlterUserScramCredentialsRequest.ScramCredentialUpsertion
        {
            Name = upsertion.User,
            Mechanism = (sbyte)upsertion.Mechanism,
            Iterations = upsertion.Iterations,
            Salt = salt,
            SaltedPassword = mechanism.SaltedPassword(upsertion.Password, salt, upsertion.Iterations),
        };
    }
}
