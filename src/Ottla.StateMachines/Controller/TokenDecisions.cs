using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>CreateDelegationToken (KIP-48). The caller has checked whether the requester may.</summary>
/// <param name="Owner">Whose token it is, as <c>User:name</c>.</param>
/// <param name="Requester">Who asks for it.</param>
/// <param name="Renewers">Who else may renew it.</param>
/// <param name="MaxLifetimeMs">Its longest life; not positive for that of the configuration.</param>
public sealed record CreateDelegationTokenCommand(string Owner, string Requester, IReadOnlyList<string> Renewers, long MaxLifetimeMs)
    : ControllerCommand<DelegationToken>
{
    internal override Decision<MetadataRecord, DelegationToken> Decide(QuorumController controller, in ControllerState state) =>
        controller.Tokens.Create(this, state);
}

/// <summary>RenewDelegationToken (KIP-48). The reply is when it ends.</summary>
/// <param name="Requester">Who asks.</param>
/// <param name="Hmac">What the holder of the token knows.</param>
/// <param name="PeriodMs">For how long; not positive for the time of the configuration.</param>
public sealed record RenewDelegationTokenCommand(string Requester, byte[] Hmac, long PeriodMs) : ControllerCommand<long>
{
    internal override Decision<MetadataRecord, long> Decide(QuorumController controller, in ControllerState state) =>
        controller.Tokens.Renew(this, state);
}

/// <summary>ExpireDelegationToken (KIP-48). The reply is when it ends.</summary>
/// <param name="Requester">Who asks.</param>
/// <param name="Hmac">What the holder of the token knows.</param>
/// <param name="PeriodMs">In how long it ends; negative for at once.</param>
public sealed record ExpireDelegationTokenCommand(string Requester, byte[] Hmac, long PeriodMs) : ControllerCommand<long>
{
    internal override Decision<MetadataRecord, long> Decide(QuorumController controller, in ControllerState state) =>
        controller.Tokens.Expire(this, state);
}

/// <summary>Decides about delegation tokens.</summary>
internal sealed class TokenDecisions(QuorumController controller)
{
    /// <summary>The most tokens that one step removes.</summary>
    private const int SweptMax = 1_000;

    private readonly DelegationTokenKey? _key =
        DelegationTokenKey.From(controller.Settings.Config.DelegationTokenSecretKey);

    /// <summary>Whether there may be tokens.</summary>
    public bool IsEnabled => _key is not null;

    public Decision<MetadataRecord, DelegationToken> Create(CreateDelegationTokenCommand command, in ControllerState state)
    {
        KeyOrThrow(state.Image);
        var config = controller.Settings.Config;
        var now = state.Now.UnixMilliseconds;
        var lifetimeMs = command.MaxLifetimeMs > 0
            ? Math.Min(config.DelegationTokenMaxLifetimeMs, command.MaxLifetimeMs)
            : config.DelegationTokenMaxLifetimeMs;
        var maxMs = Sum(now, lifetimeMs);
        var id = NewId(state.Image);
        var token = new DelegationToken(
            id, command.Owner, command.Requester, [.. command.Renewers], now, maxMs,
            Math.Min(maxMs, Sum(now, config.DelegationTokenExpiryTimeMs)));
        return new([Record(token)], token, true);
    }

    public Decision<MetadataRecord, long> Renew(RenewDelegationTokenCommand command, in ControllerState state)
    {
        var token = Find(state.Image, command.Hmac);
        var now = state.Now.UnixMilliseconds;
        if (HasEnded(token, now))
            throw new ApiException(ErrorCode.DelegationTokenExpired);
        CheckMayRenew(token, command.Requester);
        var expiryMs = controller.Settings.Config.DelegationTokenExpiryTimeMs;
        var periodMs = command.PeriodMs > 0 ? Math.Min(expiryMs, command.PeriodMs) : expiryMs;
        var renewed = token with { ExpirationTimestampMs = Math.Min(token.MaxTimestampMs, Sum(now, periodMs)) };
        return new([Record(renewed)], renewed.ExpirationTimestampMs, true);
    }

    public Decision<MetadataRecord, long> Expire(ExpireDelegationTokenCommand command, in ControllerState state)
    {
        var token = Find(state.Image, command.Hmac);
        CheckMayRenew(token, command.Requester);
        var now = state.Now.UnixMilliseconds;
        if (command.PeriodMs < 0)
            return new([Removal(token)], now, true);
        if (HasEnded(token, now))
            throw new ApiException(ErrorCode.DelegationTokenExpired);
        var expiring = token with { ExpirationTimestampMs = Math.Min(token.MaxTimestampMs, Sum(now, command.PeriodMs)) };
        return new([Record(expiring)], expiring.ExpirationTimestampMs, true);
    }

    /// <summary>Removes tokens that have ended.</summary>
    /// <returns>The records, and whether there may be more.</returns>
    public static (IReadOnlyList<MetadataRecord> Records, bool HasMore) Sweep(in ControllerState state)
    {
        var now = state.Now.UnixMilliseconds;
        List<MetadataRecord> records =
            [.. state.Image.DelegationTokens.ById.Values.Where(token => HasEnded(token, now)).Take(SweptMax).Select(Removal)];
        return (records, records.Count == SweptMax);
    }

    private static bool HasEnded(DelegationToken token, long now) => token.MaxTimestampMs < now || token.ExpirationTimestampMs < now;

    private static void CheckMayRenew(DelegationToken token, string requester)
    {
        if (token.Owner != requester && !token.Renewers.Contains(requester))
            throw new ApiException(ErrorCode.DelegationTokenOwnerMismatch);
    }

    private static long Sum(long now, long duration) => now > long.MaxValue - duration ? long.MaxValue : now + duration;

    private static MetadataRecord Record(DelegationToken token) => new(
        new DelegationTokenRecord
        {
            TokenId = token.TokenId,
            Owner = token.Owner,
            Requester = token.Requester,
            Renewers = [.. token.Renewers],
            IssueTimestamp = token.IssueTimestampMs,
            MaxTimestamp = token.MaxTimestampMs,
            ExpirationTimestamp = token.ExpirationTimestampMs,
        },
        0);

    private static MetadataRecord Removal(DelegationToken token) => new(new RemoveDelegationTokenRecord { TokenId = token.TokenId }, 0);

    private string NewId(MetadataImage image)
    {
        string id;
        do
            id = Uuid.NewRandom(controller.Random).ToString();
        while (image.DelegationTokens.ById.ContainsKey(id));
        return id;
    }

    private DelegationToken Find(MetadataImage image, byte[] hmac) =>
        KeyOrThrow(image).Find(image.DelegationTokens, hmac) ?? throw new ApiException(ErrorCode.DelegationTokenNotFound);

    private DelegationTokenKey KeyOrThrow(MetadataImage image)
    {
        var key = _key ?? throw new ApiException(ErrorCode.DelegationTokenAuthDisabled);
        return image.Features.MetadataVersionOrThrow.SupportsDelegationTokens ? key : throw new ApiException(ErrorCode.UnsupportedVersion);
    }
}
