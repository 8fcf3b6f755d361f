using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Requests;

/// <summary>How a channel chooses the version of a request. Immutable; see <see cref="VersionChoice"/>.</summary>
public interface IVersionChoice
{
    /// <summary>Whether every new connection begins with ApiVersions.</summary>
    bool Negotiates { get; }

    /// <summary>The version to send.</summary>
    /// <param name="key">The API.</param>
    /// <param name="versionMax">The newest version that the caller wants.</param>
    /// <param name="peer">What the peer said to support; null without negotiation.</param>
    /// <exception cref="UnsupportedVersionException">There is no version that both sides have.</exception>
    short Choose(ApiKey key, short versionMax, PeerVersions? peer);
}

/// <summary>The ways to choose versions.</summary>
public static class VersionChoice
{
    /// <summary>Asks each new connection with ApiVersions (KIP-35), and sends the newest version that both sides have.</summary>
    public static IVersionChoice Negotiated { get; } = new NegotiatedVersions();

    /// <summary>Sends the newest stable version that this software has, without asking.</summary>
    public static IVersionChoice Newest { get; } = new GivenVersions(static key => ApiVersionRange.OfThisVersion(key).Max);

    /// <summary>Sends the version that <paramref name="versionOf"/> says, without asking, as Kafka's replica fetchers do.</summary>
    /// <param name="versionOf">The version by API; called for every request, since it may follow <c>metadata.version</c>.</param>
    public static IVersionChoice Given(Func<ApiKey, short> versionOf) => new GivenVersions(versionOf);

    private sealed class NegotiatedVersions : IVersionChoice
    {
        public bool Negotiates => true;

        public short Choose(ApiKey key, short versionMax, PeerVersions? peer)
        {
            var own = ApiVersionRange.OfThisVersion(key);
            if (peer?.RangeOf(key) is not { } theirs)
                throw new UnsupportedVersionException($"The peer does not offer {key}.");
            var version = Math.Min(Math.Min(own.Max, theirs.Max), versionMax);
            if (version < own.Min || version < theirs.Min)
                throw new UnsupportedVersionException(
                    $"There is no common version of {key}: the peer has {theirs}, this software {own}, and at most {versionMax} is "
                        + "wanted.");
            return version;
        }
    }

    private sealed class GivenVersions(Func<ApiKey, short> versionOf) : IVersionChoice
    {
        public bool Negotiates => false;

        public short Choose(ApiKey key, short versionMax, PeerVersions? peer)
        {
            var own = ApiVersionRange.OfThisVersion(key);
            var version = Math.Min(versionOf(key), versionMax);
            return version >= own.Min && version <= own.Max
                ? version
                : throw new UnsupportedVersionException($"Version {version} of {key} is wanted, and this software has {own}.");
        }
    }
}
