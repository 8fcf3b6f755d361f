namespace Ottla.Client;

public partial interface IAdmin
{
    /// <summary>Creates access control entries (CreateAcls, KIP-140). One that exists is no error.</summary>
    /// <returns>By entry. Errors: INVALID_REQUEST, SECURITY_DISABLED, CLUSTER_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<AclBinding>> CreateAclsAsync(IEnumerable<AclBinding> acls, CancellationToken cancellation = default);

    /// <summary>Lists access control entries (DescribeAcls, KIP-140).</summary>
    /// <exception cref="KafkaException">SECURITY_DISABLED, CLUSTER_AUTHORIZATION_FAILED, or no answer in time.</exception>
    Task<IReadOnlyList<AclBinding>> DescribeAclsAsync(AclFilter filter, CancellationToken cancellation = default);

    /// <summary>Deletes access control entries (DeleteAcls, KIP-140).</summary>
    /// <returns>By filter, the entries that it matched, each with its own outcome. Errors: INVALID_REQUEST, SECURITY_DISABLED,
    /// CLUSTER_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<AclFilter, AdminResults<AclBinding>>> DeleteAclsAsync(
        IEnumerable<AclFilter> filters, CancellationToken cancellation = default);

    /// <summary>Tells which SCRAM credentials users have (DescribeUserScramCredentials, KIP-554).</summary>
    /// <param name="users">The users; null for all that have one.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By user. Errors: RESOURCE_NOT_FOUND, DUPLICATE_RESOURCE.</returns>
    /// <exception cref="KafkaException">CLUSTER_AUTHORIZATION_FAILED, or no answer in time.</exception>
    Task<AdminResults<string, IReadOnlyList<ScramCredentialInfo>>> DescribeUserScramCredentialsAsync(
        IEnumerable<string>? users = null, CancellationToken cancellation = default);

    /// <summary>Sets and deletes SCRAM credentials (AlterUserScramCredentials, KIP-554).</summary>
    /// <returns>By user; one change of a user in a call, otherwise DUPLICATE_RESOURCE. Errors: RESOURCE_NOT_FOUND, UNACCEPTABLE_CREDENTIAL,
    /// UNSUPPORTED_SASL_MECHANISM, DUPLICATE_RESOURCE, CLUSTER_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<string>> AlterUserScramCredentialsAsync(
        IEnumerable<ScramAlteration> alterations, CancellationToken cancellation = default);

    /// <summary>Lists quotas of clients (DescribeClientQuotas, KIP-546).</summary>
    /// <param name="filter">Which entities, by their parts; empty for all.</param>
    /// <param name="strict">Whether entities with other parts besides are left out.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>The quotas by entity and name: <c>producer_byte_rate</c>, in bytes per second, and others of Kafka's.</returns>
    /// <exception cref="KafkaException">INVALID_REQUEST, CLUSTER_AUTHORIZATION_FAILED, or no answer in time.</exception>
    Task<IReadOnlyDictionary<ClientQuotaEntity, IReadOnlyDictionary<string, double>>> DescribeClientQuotasAsync(
        IEnumerable<ClientQuotaFilter>? filter = null, bool strict = false, CancellationToken cancellation = default);

    /// <summary>Changes quotas of clients (AlterClientQuotas, KIP-546).</summary>
    /// <param name="changes">The new values by entity and name; null removes one.</param>
    /// <param name="validateOnly">Whether it is only checked whether they could be made.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>By entity. Errors: INVALID_REQUEST, CLUSTER_AUTHORIZATION_FAILED.</returns>
    Task<AdminResults<ClientQuotaEntity>> AlterClientQuotasAsync(
        IReadOnlyDictionary<ClientQuotaEntity, IReadOnlyDictionary<string, double?>> changes, bool validateOnly = false,
        CancellationToken cancellation = default);

    /// <summary>Makes a delegation token (CreateDelegationToken, KIP-48).</summary>
    /// <param name="owner">Whose rights it gives (KIP-373); null for the caller's.</param>
    /// <param name="renewers">Who may renew it besides the owner; null for nobody.</param>
    /// <param name="maximumLifetime">How long it may live; null for <c>delegation.token.max.lifetime.ms</c>.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">DELEGATION_TOKEN_AUTH_DISABLED, DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, INVALID_PRINCIPAL_TYPE,
    /// DELEGATION_TOKEN_AUTHORIZATION_FAILED, or no answer in time.</exception>
    Task<DelegationToken> CreateDelegationTokenAsync(
        Principal? owner = null, IReadOnlyCollection<Principal>? renewers = null, TimeSpan? maximumLifetime = null,
        CancellationToken cancellation = default);

    /// <summary>Has a delegation token live longer (RenewDelegationToken, KIP-48).</summary>
    /// <param name="hmac">The token's secret.</param>
    /// <param name="period">How long from now; null for <c>delegation.token.expiry.time.ms</c>.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>When it ends.</returns>
    /// <exception cref="KafkaException">DELEGATION_TOKEN_NOT_FOUND, DELEGATION_TOKEN_EXPIRED, DELEGATION_TOKEN_OWNER_MISMATCH, and those
    /// of <see cref="CreateDelegationTokenAsync"/>.</exception>
    Task<DateTimeOffset> RenewDelegationTokenAsync(
        ReadOnlyMemory<byte> hmac, TimeSpan? period = null, CancellationToken cancellation = default);

    /// <summary>Has a delegation token end (ExpireDelegationToken, KIP-48).</summary>
    /// <param name="hmac">The token's secret.</param>
    /// <param name="period">In how long; null for at once.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <returns>When it ends.</returns>
    /// <inheritdoc cref="RenewDelegationTokenAsync" path="/exception"/>
    Task<DateTimeOffset> ExpireDelegationTokenAsync(
        ReadOnlyMemory<byte> hmac, TimeSpan? period = null, CancellationToken cancellation = default);

    /// <summary>Lists delegation tokens (DescribeDelegationToken, KIP-48).</summary>
    /// <param name="owners">Whose; null for all that the caller may see.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <inheritdoc cref="CreateDelegationTokenAsync" path="/exception"/>
    Task<IReadOnlyList<DelegationToken>> DescribeDelegationTokenAsync(
        IReadOnlyCollection<Principal>? owners = null, CancellationToken cancellation = default);
}
