using System.CommandLine;
using System.CommandLine.Invocation;
using Ottla.Cli.Commands;
using Ottla.Cli.Framework;
using Ottla.Cli.KafkaTools;

if (KafkaToolRunner.Find(Environment.GetCommandLineArgs()[0], args) is { } invocation)
    return await KafkaToolRunner.RunAsync(invocation);
var root = RootCommandFactory.Create();
if (args is [Completion.Command, ..])
    return Completion.Run(root, args[1..]);
var arguments = root.Parse(args);
var mistake = arguments.Action as ParseErrorAction;
var command = arguments.CommandResult.Command;
if (mistake is not null)
    mistake.ShowHelp = command.Subcommands.Count > 0; // elsewhere what is wrong would be lost above all the options
// No limit on how long the node takes to stop: the library's default kills the process two seconds after the signal.
var exitCode = await arguments.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
if (mistake is { ShowHelp: false })
    Console.Error.WriteLine(CommandHelp.HintOf(command));
return mistake is null ? exitCode : ExitCode.Usage;
