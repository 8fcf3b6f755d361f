using System.Globalization;
using Ottla.Simulator;

const int done = 0, found = 1, misused = 2;

if (args is not [var name, .. var rest] || SimulationCatalog.Find(name) is not { } simulation
    || !TryParseSeeds(rest, out var first, out var last))
{
    Console.Error.WriteLine("usage: ./dev sim NAME [SEED | FIRST..LAST]      (default: 1..1000; a single seed tells what happens)");
    foreach (var known in SimulationCatalog.All)
        Console.Error.WriteLine($"  {known.Name,-20} {known.Description}");
    return misused;
}

var failures = 0L;
for (var seed = first; seed <= last; seed++)
{
    try
    {
        simulation.Run(seed, first == last ? Console.Out : null);
    }
    catch (SimulationException e)
    {
        failures++;
        Console.Error.WriteLine($"seed {seed}: {e}");
    }
}

Console.WriteLine($"{simulation.Name}: seeds {first} to {last}, {failures} failed");
return failures == 0 ? done : found;

static bool TryParseSeeds(string[] words, out ulong first, out ulong last)
{
    (first, last) = (1, 1000);
    if (words.Length == 0)
        return true;
    var ends = words[0].Split("..");
    var isNumber = ulong.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out first);
    last = first;
    return words.Length == 1 && isNumber && (
        ends.Length == 1
        || (ends.Length == 2 && ulong.TryParse(ends[1], NumberStyles.None, CultureInfo.InvariantCulture, out last) && first <= last));
}
