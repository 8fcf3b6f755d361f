using System.Globalization;

namespace Ottla.Chaos.Network;

/// <summary>What happens to packets on their way from one machine to another. Immutable.</summary>
/// <param name="From">The machine that sends; null for all.</param>
/// <param name="To">The machine that shall get it; null for all.</param>
/// <param name="Port">
/// Only what belongs to connections to this port, of whichever side, in the direction of the rule; null for everything.
/// </param>
/// <param name="Effect">What happens; null for: it is lost.</param>
internal sealed record LinkRule(int? From, int? To, int? Port = null, SlowLink? Effect = null)
{
    public bool Matches(in PacketHeader packet) =>
        (From is null || From == packet.From) && (To is null || To == packet.To)
        && (Port is null || Port == packet.SourcePort || Port == packet.TargetPort);

    /// <inheritdoc/>
    public override string ToString()
    {
        var port = Port is { } number ? string.Create(CultureInfo.InvariantCulture, $" port {number}") : "";
        return $"{NameOf(From)}>{NameOf(To)}{port}{(Effect is null ? "" : " slow")}";
    }

    private static string NameOf(int? machine) => machine switch
    {
        null => "all",
        PacketSwitch.Clients => "clients",
        { } id => id.ToString(CultureInfo.InvariantCulture),
    };
}

/// <summary>A link that delivers late and not much at a time. Each direction between two machines is a link of its own.</summary>
/// <param name="Delay">How long a packet is under way.</param>
/// <param name="BytesPerSecond">How much gets through.</param>
internal sealed record SlowLink(TimeSpan Delay, int BytesPerSecond);

/// <summary>What is read of a packet to decide where it goes.</summary>
/// <param name="From">The machine that sent it.</param>
/// <param name="To">The machine that shall get it.</param>
/// <param name="SourcePort">The sender's TCP port; 0 when it is not TCP.</param>
/// <param name="TargetPort">The receiver's.</param>
internal readonly record struct PacketHeader(int From, int To, int SourcePort, int TargetPort);
