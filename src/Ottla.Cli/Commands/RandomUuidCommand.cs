using System.CommandLine;
using Ottla.Kernel;

namespace Ottla.Cli.Commands;

/// <summary><c>ottla random-uuid</c>: an id for a new cluster.</summary>
internal static class RandomUuidCommand
{
    public static Command Create()
    {
        var command = new Command("random-uuid", "Print a random id, for example for 'ottla format --cluster-id'.");
        command.SetAction(_ =>
        {
            Console.WriteLine(Uuid.NewRandom());
            return ExitCode.Success;
        });
        return command;
    }
}
