using System.Globalization;

namespace Ottla.ClientLoad;

/// <summary>One run, as the command line says: <c>CLIENT LOAD BOOTSTRAP TOPIC RECORD-BYTES WARM-UP-RECORDS RECORDS</c>.</summary>
/// <param name="Client"><c>ottla</c> or <c>confluent</c>.</param>
/// <param name="Load">What to do: see <see cref="ILoad"/>.</param>
/// <param name="Bootstrap">The broker.</param>
/// <param name="Topic">The topic, which exists.</param>
/// <param name="RecordBytes">The bytes of a record's value; it has no key.</param>
/// <param name="WarmUpRecords">Records before the clock starts, again and again until the time is over, too; none for no warm-up.</param>
/// <param name="Records">Records that are measured.</param>
internal sealed record LoadArguments(
    string Client, string Load, string Bootstrap, string Topic, int RecordBytes, long WarmUpRecords, long Records)
{
    /// <summary>The least time, in seconds, that a load runs before the clock starts: hot code is compiled late.</summary>
    public double WarmUpSecondsMin => WarmUpRecords > 0 ? 5 : 0;

    /// <summary>Whether records are read.</summary>
    public bool IsRead => Load.StartsWith("consume", StringComparison.Ordinal);

    /// <summary>Reads the arguments.</summary>
    /// <exception cref="FormatException">They are not what is expected.</exception>
    public static LoadArguments Parse(string[] args) =>
        args is [var client, var load, var bootstrap, var topic, var recordBytes, var warmUp, var records]
            ? new LoadArguments(client, load, bootstrap, topic, (int)Number(recordBytes), Number(warmUp), Number(records))
            : throw new FormatException("usage: client-load CLIENT LOAD BOOTSTRAP TOPIC RECORD-BYTES WARM-UP-RECORDS RECORDS");

    private static long Number(string text) => long.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
}

/// <summary>One load of one client.</summary>
internal interface ILoad : IAsyncDisposable
{
    /// <summary>Sends or reads as many records more, and returns when that is done: sent records have been acknowledged.</summary>
    Task RunAsync(long records);
}
