using System.Globalization;
using Ottla.HistoryChecker.History;

namespace Ottla.Chaos.Clients;

/// <summary>A client that sends numbered records with acks=all to all partitions in turn.</summary>
internal sealed class Writer : ClientProcess
{
    private readonly Dictionary<long, Sent> _sent = [];

    private Writer(ClientProgram program, string name, string folder, IReadOnlyList<string> arguments, RunLog log)
        : base(program, name, folder, arguments, log)
    {
    }

    /// <summary>How many records were acknowledged until now.</summary>
    public int Acknowledged { get; private set; }

    /// <summary>Whether the client gave up: an idempotent producer never has a reason to.</summary>
    public string? Fatal { get; private set; }

    /// <summary>Everything it sent, in its order. Only after the end.</summary>
    public IEnumerable<Sent> AllSent => _sent.Values.OrderBy(sent => sent.Value);

    /// <summary>Starts one.</summary>
    /// <param name="program">Its library.</param>
    /// <param name="name">Its name in the run's folder.</param>
    /// <param name="setting">Where it works.</param>
    /// <param name="firstValue">The number of its first record.</param>
    /// <param name="load">How much it sends.</param>
    public static Writer Start(ClientProgram program, string name, ClientSetting setting, long firstValue, WriterLoad load) => new(
        program, name, setting.Folder,
        [
            "write", setting.Bootstrap, setting.Topic, Text(setting.Partitions), Text(firstValue), Text(load.RecordsPerSecond),
            Text(load.PaddingBytes),
        ],
        setting.Log);

    protected override void OnLine(string[] words, TimeSpan now)
    {
        switch (words)
        {
            case ["send", var partition, var value]:
                _sent.Add(Number(value), new Sent((int)Number(partition), Number(value)));
                break;
            case ["ok", _, var value, var offset, var sentUs, var ackedUs]:
                Acknowledged++;
                Update(value, sent => sent with
                {
                    Outcome = Outcome.Ok,
                    Offset = Number(offset) is >= 0 and var known ? known : null,
                    SentAt = At(sentUs),
                    AckedAt = At(ackedUs),
                });
                break;
            case ["fail", _, var value, ..]:
                Update(value, sent => sent with { Outcome = Outcome.Fail });
                OnError(words, now);
                break;
            case ["doubt", _, _, ..]: // which it is from the beginning
                OnError(words, now);
                break;
            case ["fatal", ..]:
                Fatal = string.Join(' ', words[1..]);
                OnError(words, now);
                break;
            case ["error", ..]:
                break; // what a client tells of its connections: it goes on by itself
            default:
                throw new InvalidDataException($"{Name} tells '{string.Join(' ', words)}'");
        }
    }

    private void Update(string value, Func<Sent, Sent> change) => _sent[Number(value)] = change(_sent[Number(value)]);

    private TimeSpan At(string microseconds) => DateTime.UnixEpoch.AddMicroseconds(Number(microseconds)) - Log.StartedAt;

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>How much a writer sends.</summary>
/// <param name="RecordsPerSecond">How many records.</param>
/// <param name="PaddingBytes">What each has behind its number.</param>
internal sealed record WriterLoad(int RecordsPerSecond, int PaddingBytes);

/// <summary>A record that a writer sent.</summary>
/// <param name="Partition">Where to.</param>
/// <param name="Value">Its number.</param>
/// <param name="Outcome">What became of it, as far as the writer knows.</param>
/// <param name="Offset">Where it is, if acknowledged; null also when the client was not told, since it sent the record twice.</param>
/// <param name="SentAt">When it was given to the client, if acknowledged; from the beginning of the run.</param>
/// <param name="AckedAt">When it was acknowledged.</param>
internal sealed record Sent(
    int Partition, long Value, Outcome Outcome = Outcome.Info, long? Offset = null, TimeSpan SentAt = default, TimeSpan AckedAt = default);
